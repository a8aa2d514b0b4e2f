# SPDX-License-Identifier: MIT
"""
`make run`: build, boot the board, play footage as the scene, start the streamer, and print the
address of each camera once a frame has gone the whole way to a client on this machine.
"""
import argparse
import hashlib
import pathlib
import re
import secrets
import socket
import subprocess
import time

import volet_vm as vm

VIEWER = 'owner'
# Frames a second of the sensor, through its vertical blanking as on a real board. Two
# emulated processors carry about ten a second in all.
FPS = {1: 10, 2: 5}


def build():
    vm.say('building the kernel modules')
    modules = vm.build_modules()
    vm.say('building the programs for the board')
    programs = vm.build_arm64()
    return modules, programs


def blanking(fps):
    """VBLANK for a frame rate: 74.25 MHz, 2200 pixels a line, 1080 of its lines a picture."""
    return round(74250000 / 2200 / fps) - 1080


def configuration(cameras, ha1, fps, report=5, viewers=None, memory=''):
    """The streamer's configuration for the board's cameras; `viewers` is {name: (ha1, cameras)}."""
    names = [f'cam{i}' for i in range(cameras)]
    text = f'[volet]\nrtsp-address = 0.0.0.0\nrtsp-port = 8554\nreport-s = {report}\n{memory}'
    for i, name in enumerate(names):
        text += f'''
[camera {name}]
media = platform:camsim-{i}
formats = "gc2053 {i}-0037":0 [fmt:SRGGB10_1X10/1920x1080]; "camsim{i}-csi":0 [fmt:SRGGB10_1X10/1920x1080]; "camsim{i}-isp":0 [fmt:SRGGB10_1X10/1920x1080]
capture = camsim{i}-nv12
format = NV12
size = 1920x1080
sensor = gc2053 {i}-0037
controls = vertical_blanking={blanking(fps)}; exposure=1000; analogue_gain=64
'''
    for viewer, (its_ha1, its_cameras) in (viewers or {VIEWER: (ha1, names)}).items():
        text += f'\n[viewer {viewer}]\nha1 = {its_ha1}\ncameras = {";".join(its_cameras)}\n'
    return text


def ha1_of(viewer, password):
    return hashlib.md5(f'{viewer}:volet:{password}'.encode()).hexdigest()


JOB = '''#!/bin/sh
/volet/start-board {cameras} || exit 1
/volet/play-scenes {cameras}
/volet/start-streamer /host/volet.conf || exit 1
echo "volet: streamer is up"
tail -n +1 -F /run/volet/log 2>/dev/null &
while kill -0 $(cat /run/volet/voletd.pid) 2>/dev/null; do
	sleep 5
	for i in $(seq 0 $(({cameras} - 1))); do
		echo "volet: cam$i: sensed $(cat /sys/kernel/debug/camsim/$i/sensed)"
	done
done
echo "volet: voletd has stopped"
exit 1
'''


def first_frame(url, camera, timeout):
    """Play one frame as a client does and read its pixel tag: the camera whose picture it is."""
    tagread = vm.BUILD / 'native/tests/tools/tagread'
    end = time.monotonic() + timeout
    why = ''
    while time.monotonic() < end:
        play = subprocess.run(['ffmpeg', '-v', 'error', '-rtsp_transport', 'tcp', '-timeout', '10000000',
                               '-i', url, '-frames:v', '1', '-f', 'rawvideo', '-pix_fmt', 'gray', '-'],
                              capture_output=True, timeout=60, check=False)
        if play.returncode == 0 and play.stdout:
            tag = subprocess.run([tagread, '--format', 'gray'], input=play.stdout,
                                 capture_output=True, check=False).stdout.decode()
            found = re.search(r'camera=(\d+) .*scene=(\d+)', tag)
            if found and int(found[1]) == camera and int(found[2]):
                return
            why = f'the frame that came is not of the scene before camera {camera}: {tag.strip()}'
        else:
            why = play.stderr.decode(errors='replace').strip()
        time.sleep(1)
    raise vm.Failed(f'no frame from {camera=} in {timeout} s: {why}')


def free_port(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(('127.0.0.1', port))
        except OSError:
            raise vm.Failed(f'port {port} of 127.0.0.1 is in use: choose another with '
                            '`make run RTSP_PORT=...`') from None


def main():
    args = argparse.ArgumentParser(prog='make run')
    args.add_argument('--cameras', type=int, default=1, choices=sorted(FPS), help='CAMERAS=')
    args.add_argument('--port', type=int, default=8554, help='RTSP_PORT=')
    args.add_argument('--duration', type=float, default=0, help='DURATION=')
    args.add_argument('--build-only', action='store_true')
    args = args.parse_args()
    vm.BUILD.mkdir(exist_ok=True)
    if args.build_only:
        build()
        return 0
    if not 1 <= args.port <= 65535:
        raise vm.Failed('RTSP_PORT is a number from 1 to 65535')
    free_port(args.port)
    modules, programs = build()
    vm.say('building the tag reader for this machine')
    vm.meson('native')
    project = vm.project_image(modules, programs)

    password = secrets.token_urlsafe(12)
    share = pathlib.Path('/tmp/share')
    share.mkdir()
    (share / 'volet.conf').write_text(
        configuration(args.cameras, ha1_of(VIEWER, password), FPS[args.cameras]))
    job = share / 'job'
    job.write_text(JOB.format(cameras=args.cameras))
    job.chmod(0o755)

    def relay(line):
        if re.match(r'volet|cam\d', line):
            vm.say(line.removeprefix('volet: '))

    vm.say('booting the board')
    with vm.Board(project, share, args.cameras, [(args.port, 8554)], on_line=relay) as board:
        board.wait_line('volet: streamer is up', 90)
        urls = [f'rtsp://{VIEWER}:{password}@127.0.0.1:{args.port}/cam{i}'
                for i in range(args.cameras)]
        for i, url in enumerate(urls):
            first_frame(url, i, 60)
            print(f'ready: {url}', flush=True)
        vm.say('streaming; Ctrl-C ends it')
        end = time.monotonic() + args.duration
        while not args.duration or time.monotonic() < end:
            time.sleep(0.5)
            if board.qemu.poll() is not None:
                raise vm.Failed('the board has stopped:\n' + '\n'.join(board.lines[-30:]))
    vm.say('stopped')
    return 0


if __name__ == '__main__':
    vm.main(main)
