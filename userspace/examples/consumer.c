// SPDX-License-Identifier: MIT
/*
 * A local consumer: asks for a camera's pictures and prints what each is. It needs protocol.h
 * alone. consumer SOCKET CAMERA PROFILE [FRAMES]; see Documentation/session-protocol.rst.
 */
#include <err.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "protocol.h"

/*
 * One whole message of `size` bytes of `sock`, and the descriptor that came with it, or -1. On
 * `control`, once that is another channel, nothing more comes but the end.
 */
static int receive(int sock, int control, void *msg, size_t size)
{
	struct pollfd wait[] = { { .fd = sock, .events = POLLIN }, { .fd = control, .events = POLLIN } };
	union { struct cmsghdr align; char space[CMSG_SPACE(sizeof(int))]; } rights = { 0 };
	struct iovec data = { msg, size };
	struct msghdr head = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &rights,
			       .msg_controllen = sizeof(rights) };

	if (poll(wait, 2, -1) < 0 || (sock != control && wait[1].revents))
		errx(0, "voletd has ended the session");
	if (recvmsg(sock, &head, MSG_CMSG_CLOEXEC) != (ssize_t)size || (head.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		errx(1, "the session has ended");
	return head.msg_controllen ? *(int *)CMSG_DATA(&rights.align) : -1;
}

int main(int argc, char **argv)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct volet_ctl ask = { .type = VOLET_CTL_LOCAL }, told;
	struct volet_frame msg, start = { .type = VOLET_FRAME_START };
	int control = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), frames, memfd;
	long left = argc > 4 ? strtol(argv[4], NULL, 10) : -1;
	const char *memory;

	if (argc < 4)
		errx(2, "consumer SOCKET CAMERA PROFILE [FRAMES]");
	strncpy(to.sun_path, argv[1], sizeof(to.sun_path) - 1);
	strncpy(ask.local.camera, argv[2], sizeof(ask.local.camera) - 1);
	strncpy(ask.local.profile, argv[3], sizeof(ask.local.profile) - 1);
	if (connect(control, (struct sockaddr *)&to, sizeof(to)) || send(control, &ask, sizeof(ask), 0) < 0)
		err(1, "%s", argv[1]);
	frames = receive(control, control, &told, sizeof(told));
	if (told.type != VOLET_CTL_GRANTED)
		errx(1, "not granted: message %u, %u", told.type, told.denied.why);
	memfd = receive(frames, control, &msg, sizeof(msg));
	if (msg.type != VOLET_FRAME_MEMORY)
		errx(1, "refused by the camera: %u", msg.end.reason);
	struct volet_frame_memory layout = msg.memory;
	memory = mmap(NULL, (size_t)layout.slots * layout.slot_size, PROT_READ, MAP_SHARED, memfd, 0);
	if (memory == MAP_FAILED || send(frames, &start, sizeof(start), 0) < 0)
		err(1, "start");
	for (; left; left--) {
		struct volet_frame done = { .type = VOLET_FRAME_RELEASE };

		receive(frames, control, &msg, sizeof(msg));
		/* voletd tells the camera first, so that this may be here before its own word. */
		if (msg.type == VOLET_FRAME_END)
			errx(0, "the session has ended: reason %u", msg.end.reason);
		struct volet_frame_stamp stamp = msg.ready, *slot = (void *)(memory + stamp.slot * layout.slot_size);
		/* Whose is it? The message, the slot and the grant say the same, or something is wrong. */
		if (msg.type != VOLET_FRAME_READY || memcmp(slot, &stamp, sizeof(stamp)) || stamp.captured_ns < told.granted.granted_ns ||
		    memcmp(&stamp.session, &told.granted.session, sizeof(stamp.session)) || strcmp(stamp.camera, argv[2]))
			errx(1, "a frame isn't this session's");
		printf("%s/%s sequence=%" PRIu64 " captured_ns=%" PRIu64 " %ux%u codec=%u length=%u first=%u\n", stamp.camera,
		       stamp.profile, stamp.sequence, stamp.captured_ns, layout.width, layout.height, layout.codec,
		       stamp.length, ((const uint8_t *)slot)[VOLET_SLOT_PAYLOAD]);
		done.release.slot = stamp.slot;
		done.release.generation = stamp.generation;
		send(frames, &done, sizeof(done), MSG_NOSIGNAL);
	}
	return 0;
}
