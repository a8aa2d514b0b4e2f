# SPDX-License-Identifier: MIT
"""
Sensor drivers with one bug each, for what looks for such bugs to be seen finding them before its
silence means anything: one for each of the debug kernel's detectors, and one for each test that
is run there alone.
"""
import shutil

# name, the bug, what is run with it, what the kernel says then, (old, new) ... Without what the kernel
# says the test itself has to fail. lockdep is first, because any other report turns it off.
MUTANTS = [
    ('lockdep', 'two locks are taken in either order', 'gc2053/unbind -t open_files_outlive_it',
     'possible circular locking dependency',
     ('	gc2053->regmap = NULL;\n', '	gc2053->regmap = NULL;\n	gc2053_free_orphans();\n'),
     ('	/* Last, because the subdev can be used from here on. */\n',
      '	mutex_lock(&gc2053_orphans_lock);\n	mutex_lock(gc2053->ctrl_handler.lock);\n'
      '	mutex_unlock(gc2053->ctrl_handler.lock);\n	mutex_unlock(&gc2053_orphans_lock);\n')),
    ('kmemleak', 'the state is not freed', 'debug/cycles', 'unreferenced object',
     ('	list_add(&gc2053->orphan, &gc2053_orphans);\n', '')),
    ('atomic', 'power-on may sleep while it may not', 'gc2053/power -t probe_identifies_in_order',
     'BUG: sleeping function called from invalid context',
     ('	gpiod_set_value_cansleep(gc2053->reset_gpio, 0);\n',
      '	preempt_disable();\n	gpiod_set_value_cansleep(gc2053->reset_gpio, 0);\n	preempt_enable();\n')),
    ('ubsan', 'a list is read beyond its end', 'gc2053/power -t streaming_cycles_power_in_order',
     'UBSAN: array-index-out-of-bounds',
     ('i < ARRAY_SIZE(gc2053_mode_regs)', 'i <= ARRAY_SIZE(gc2053_mode_regs)')),
    ('ioctls', 'an index that a program gives is not looked at', 'debug/ioctls -t all_at_rest',
     'KASAN: global-out-of-bounds|UBSAN: array-index-out-of-bounds',
     ('	if (fse->index || fse->code', '	if (fse->code'),
     ('	fse->min_width = GC2053_WIDTH;\n', '	fse->min_width = gc2053_link_freq_menu[fse->index % 8];\n')),
    ('unwound', 'a step of probe that fails leaves the power on', 'debug/fail_nth -t sensor_probe', None,
     ('error_power_off:\n	gc2053_power_off(dev);\n', 'error_power_off:\n')),
    ('kasan', 'the state is freed with the binding, whatever files are open',
     'gc2053/unbind -t open_files_outlive_it', 'KASAN: slab-use-after-free',
     ('	gc2053 = kzalloc(sizeof(*gc2053), ', '	gc2053 = devm_kzalloc(dev, sizeof(*gc2053), '),
     ('	if (!gc2053->sd.devnode) {\n		kfree(gc2053);\n		return;\n	}\n', '	if (true)\n		return;\n'),
     ('	.registered = gc2053_registered,\n	.release = gc2053_release,\n', '')),
]


def write(driver, build):
    """Copies of the driver with the bugs, and a Kbuild file for them, in the directory `build`."""
    kbuild = []
    for name, _, _, _, *edits in MUTANTS:
        copy = build / name
        copy.mkdir(parents=True)
        for source in driver.glob('gc2053*.[ch]'):
            if not source.name.endswith('.mod.c'):
                shutil.copy(source, copy)
        text = (copy / 'gc2053.c').read_text()
        for old, new in edits:
            if text.count(old) != 1:
                raise ValueError(f'mutant {name}: gc2053.c has {text.count(old)} times, not once:\n{old}')
            text = text.replace(old, new)
        (copy / 'gc2053.c').write_text(text)
        kbuild += [f'obj-m += mutant_{name}.o', f'mutant_{name}-y := {name}/gc2053.o']
    (build / 'Kbuild').write_text('\n'.join(kbuild) + '\n')


def table():
    """For the board: name, what is run, what the kernel says or -, and the bug, with tabs between."""
    return ''.join(f'{name}\t{test}\t{says or "-"}\t{bug}\n' for name, bug, test, says, *_ in MUTANTS)
