# SPDX-License-Identifier: MIT
"""Parts of Debian's kernel source, unpacked once into the cache (10 s): bindings and Kconfig."""
import pathlib
import shutil
import subprocess

SOURCE = pathlib.Path('/usr/src/linux-source-6.12.tar.xz')
PARTS = ['Documentation/devicetree/bindings', 'Makefile', 'scripts', 'tools/scripts', 'arch/arm64/Makefile',
         'arch/arm64/configs', 'drivers/media/platform/rockchip/rkisp1']


def kernel_parts():
    """The directory that has them. Several programs may ask for it at the same time."""
    kernel = pathlib.Path('/guest/.volet-kernel').read_text().strip()
    where = pathlib.Path(f'/cache/kernel-parts-{kernel}')
    if not where.exists():
        part = where.with_name(f'{where.name}.part')
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        top = 'linux-source-6.12'
        subprocess.run(['tar', '-C', part, '--strip-components=1', '--wildcards', '-xJf', SOURCE,
                        *[f'{top}/{name}' for name in PARTS], f'{top}/*Kconfig*'], check=True)
        part.rename(where)
    return where
