#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Drivers with one mechanical bug each, made of the GC2053 driver's own text: a register write left
out or changed, an error branch, a lock, a PM call or a delay left out, a comparison or a number
off by one. What is made follows from the text by the rules below, not from what tests look at.

    generate.py          lists them: kind, where and what
    generate.py test     checks this program (TAP)

A mutant's name has no line number in it, so that it stays the same when other lines change.
"""
import pathlib
import re
import sys

DRIVER = pathlib.Path(__file__).resolve().parents[2] / 'driver'
FILES = ['gc2053.c', 'gc2053-gain.h', 'gc2053-regs.h', 'gc2053-cci.h']

WRITES = r'gc2053_write|gc2053_update_bits|gc2053_select_page|gc2053_soft_reset|gc2053_write_gain|' \
         r'cci_write|cci_update_bits|regmap_bulk_write'
POWER = r'pm_runtime_\w+|regulator_\w+|devm_regulator_\w+|clk_\w+|devm_clk_\w+|gpiod_\w+|devm_gpiod_\w+|' \
        r'gc2053_power_on|gc2053_power_off|gc2053_supplies_on|gc2053_supplies_off'
LOCKS = r'mutex_lock|mutex_unlock|kref_get|kref_put|kref_init|get_device|put_device|gc2053_put|' \
        r'gc2053_disconnect|devm_add_action_or_reset'
DELAYS = r'fsleep|usleep_range|msleep|udelay'
RELEASES = r'kfree|list_del|list_add|gc2053_free_orphans|v4l2_subdev_cleanup|media_entity_cleanup|' \
           r'v4l2_ctrl_handler_free|v4l2_async_unregister_subdev|fwnode_handle_put|v4l2_fwnode_endpoint_free|' \
           r'i2c_del_driver'
CALLS = [('write removed', WRITES), ('power call removed', POWER), ('lock or count removed', LOCKS),
         ('delay removed', DELAYS), ('release removed', RELEASES)]
# What a call that isn't made leaves behind where its value is used.
POINTERS = r'devm_(clk|gpiod)_\w+|get_device'
OTHER_SIDE = {'<': '<=', '<=': '<', '>': '>=', '>=': '>', '==': '!=', '!=': '=='}
# Numbers that no code is made of here: private bits of a register's number.
NOT_NUMBERS = r'GC2053_(ANY_PAGE|PAGE_UNKNOWN|PAGE|P\d|SYS)\b'


class Mutant:
    """One replacement in one file of the driver."""

    def __init__(self, kind, file, where, what, start, end, new):
        self.kind, self.file, self.where, self.what = kind, file, where, what
        self.start, self.end, self.new = start, end, new
        self.name = ''

    def apply(self, text):
        return text[:self.start] + self.new + text[self.end:]


def masked(text):
    """`text` with comments, strings and directives blanked, position by position."""
    def blank(found):
        return re.sub(r'[^\n]', ' ', found[0])
    text = re.sub(r'/\*.*?\*/|"(\\.|[^"\\\n])*"|//[^\n]*', blank, text, flags=re.S)
    return re.sub(r'(?m)^#([^\n]*\\\n)*[^\n]*', blank, text)


def closing(text, start):
    """The position after the bracket that closes the one at `start`."""
    depth = 0
    for i in range(start, len(text)):
        depth += (text[i] in '([{') - (text[i] in ')]}')
        if not depth:
            return i + 1
    raise ValueError(f'no end of: {text[start:start + 60]!r}')


def arguments(code, start):
    """Spans of what is in the brackets at `start`."""
    end, spans, depth, begin = closing(code, start) - 1, [], 0, start + 1
    for i in range(start + 1, end + 1):
        if i == end or (code[i] == ',' and not depth):
            spans.append((begin + len(code[begin:i]) - len(code[begin:i].lstrip()), i))
            begin = i + 1
        else:
            depth += (code[i] in '([{') - (code[i] in ')]}')
    return spans


def functions(code):
    """(name, start of the body, its end), in the kernel's style: braces in the first column."""
    for found in re.finditer(r'(?m)^\{\n(.*?)^\}', code, re.S | re.M):
        head = code[:found.start()].rstrip()
        head = head[head.rfind('\n\n') + 1:]
        name = re.search(r'(\w+)\s*\(', head)
        if name:
            yield name[1], found.start(1), found.end(1)


def words(text):
    return re.sub(r'\s+', ' ', re.sub(r'/\*.*?\*/', ' ', text, flags=re.S)).strip()


def before(code, body, start):
    """The statement before a position in a function, as the reader would name the place."""
    text = words(code[body:start]).rstrip('{ ')
    found = re.findall(r'[^;{}]+', text)
    return found[-1].strip() if found else ''


def in_functions(file, text, code):
    for name, body, end in functions(code):
        yield from removed_calls(file, text, code, name, body, end)
        yield from conditions(file, text, code, name, body, end)
        for found in re.finditer(r' (<=|>=|==|!=|<|>) ', code[body:end]):
            at = body + found.start(1)
            line = words(code[code.rfind('\n', 0, at) + 1:code.find('\n', at)])
            yield Mutant('comparison', file, name, f'{line}: {found[1]} is {OTHER_SIDE[found[1]]}',
                         at, at + len(found[1]), OTHER_SIDE[found[1]])


def removed_calls(file, text, code, name, body, end):
    for kind, which in CALLS:
        for found in re.finditer(rf'(?<![\w.>])({which})\(', code[body:end]):
            start, bracket = body + found.start(), body + found.end() - 1
            stop = closing(code, bracket)
            spans = arguments(code, bracket)
            called = words(text[start:stop])
            statement = re.search(r'([;{}):]|\belse)\s*$', code[:start]) and code[stop] == ';'
            if statement:
                new = '(void)0'
            elif kind == 'write removed' and re.match(r'\w*err\b|&ret\b', words(text[slice(*spans[-1])])):
                new = f'*({text[slice(*spans[-1])]})'
            else:
                new = 'NULL' if re.match(POINTERS, found[1]) else '0'
            yield Mutant(kind, file, name, called, start, stop, new)
            # The value of a write is its last but one argument, where it has one.
            if kind == 'write removed' and re.match(r'(gc2053|cci)_(write|update_bits)$', found[1]):
                value = spans[-2]
                what = text[slice(*value)]
                flipped = f'({what}) ^ ({text[slice(*spans[2])]})' if 'bits' in found[1] else f'({what}) ^ 1'
                yield Mutant('write changed', file, name, called, *value, flipped)


def conditions(file, text, code, name, body, end):
    """Branches that leave the function, and guards before anything else."""
    for found in re.finditer(r'\b(if|while) \(', code[body:end]):
        start, bracket = body + found.start(), body + found.end() - 1
        after = closing(code, bracket)
        then = after + len(code[after:]) - len(code[after:].lstrip())
        if found[1] == 'while' or code[then] == ';':
            continue
        stop = closing(code, then) if code[then] == '{' else code.index(';', then) + 1
        inner = words(text[then:stop]).strip('{}; ')
        condition = words(text[bracket:after])
        leaves = re.search(r'(^|; ?|\} ?)(return\b|goto\b|continue\b)[^;]*$', inner)
        what = f'if {condition} {inner[:60]}'
        place = f'{what}, after: {before(code, body, start)[-70:]}'
        if leaves and not re.match(r'\s*else\b', code[stop:]):
            # It is there for the compiler, so that nothing else changes.
            yield Mutant('branch removed', file, name, place, start, stop, ';')
        else:
            yield Mutant('guard removed', file, name, place, bracket, after, '(true)')


def tables(file, text, code):
    """Entries of the lists of registers, and the values of the gain's rows."""
    for found in re.finditer(r'\bgc2053_mode_regs\[\] = (\{)', code):
        for entry in re.finditer(r'\{ (.*?), (\w+|[\w /]+) \},?', code[found.end():closing(code, found.start(1))]):
            at = found.end()
            start, end = at + entry.start(), at + entry.end()
            what = words(text[start:end]).rstrip(',')
            yield Mutant('write removed', file, 'the list', what, start, end, '')
            yield Mutant('write changed', file, 'the list', what, at + entry.start(2), at + entry.end(2),
                         f'({entry[2]}) ^ 1')
    for found in re.finditer(r'\bgc2053_gain_rows\[\w+\] = (\{)', code):
        for row in re.finditer(r'\{ +(\d+)(?:, 0x\w\w){4} \}', code[found.end():closing(code, found.start(1))]):
            for value in re.finditer(r'\w+', row[0]):
                start = found.end() + row.start() + value.start()
                which = len(re.findall(r'\w+', row[0][:value.start()]))
                yield Mutant('write changed', file, 'the gain', f'{words(row[0])}, value {which}', start,
                             start + len(value[0]), f'{value[0]} ^ 1')


def numbers(file, text):
    """Numbers that have a name, and the addresses of registers."""
    for found in re.finditer(r'(?m)^#define (GC2053_\w+)(?:\([^)]*\))?[ \t]+((?:.*\\\n)*.*)$', text):
        name, value = found[1], re.sub(r'/\*.*?\*/', '', found[2]).rstrip()
        if re.match(NOT_NUMBERS, name) or not value:
            continue
        if name.endswith('DELAY_US'):
            new, kind = f'(({value}) / 2)', 'number changed'
        elif re.search(r'\b(CCI_REG\w+|GC2053_(P\d|SYS))\((0x\w+)\)', value):
            new, kind = re.sub(r'\((0x\w+)\)', r'(\1 ^ 1)', value), 'register changed'
        elif re.fullmatch(r'BIT\(\d+\)', value):
            new, kind = value.replace(')', ' ^ 1)'), 'number changed'
        elif re.fullmatch(r'0x[0-9a-f]+|\d+(LL|U)?', value) or value.startswith('('):
            new, kind = f'(({value}) + 1)', 'number changed'
        else:
            continue
        yield Mutant(kind, file, name, words(value), found.start(2), found.start(2) + len(value), new)


def operations(file, text, code):
    """What the driver gives to the framework: entries of its operations and their helpers."""
    for found in re.finditer(r'(?m)^static (?:const )?struct (\w+(?:_ops|_driver)) (\w+) = (\{)', code):
        inner = code[found.end():closing(code, found.start(3))]
        for entry in re.finditer(r'(?m)^\t+(\.\w+ = [\w()&]+,|\w+_PM_OPS\([^)]*\))', inner):
            start, end = found.end() + entry.start(1), found.end() + entry.end(1)
            yield Mutant('operation removed', file, found[2], words(entry[1]).rstrip(','), start, end, '')


def mutants(read=lambda file: (DRIVER / file).read_text()):
    """All of them, each with a name of its own."""
    found = []
    for file in FILES:
        text = read(file)
        code = masked(text)
        found += [*in_functions(file, text, code), *tables(file, text, code), *numbers(file, text),
                  *operations(file, text, code)]
    seen = {}
    for mutant in found:
        name = f'{mutant.kind}: {mutant.where}: {mutant.what}'
        seen[name] = seen.get(name, 0) + 1
        mutant.name = name if seen[name] == 1 else f'{name} ({seen[name]})'
    return found


EXAMPLE = '''static const struct cci_reg_sequence gc2053_mode_regs[] = {
	{ GC2053_SYS(0xf2), 0x00 }, { GC2053_REG_VB, GC2053_VB },
};
#define GC2053_VB			17	/* gc2053_write(a, b, c, err); */

static int example(struct gc2053 *gc2053)
{
	int ret = 0;

	/* if (ret) return ret; */
	gc2053_write(gc2053, GC2053_REG_VB, min(a, b), &ret);
	if (gc2053_write(gc2053, GC2053_REG_VB, 3, &ret)) {
		dev_err(dev, "if (x) return;");
		return ret;
	}
	if (ret >= 0)
		pm_runtime_put(dev);
	mutex_lock(&lock);
	fsleep(GC2053_VB);
	return gc2053_write(gc2053, GC2053_REG_VB, 3, err);
}
'''
EXPECTED = [
    ('write removed', '	(void)0;\n'), ('write changed', '(min(a, b)) ^ 1, &ret);'),
    ('write removed', 'if (*(&ret)) {'), ('write changed', '(3) ^ 1, &ret)) {'),
    ('write removed', 'return *(err);'), ('write changed', 'return gc2053_write(gc2053, GC2053_REG_VB, (3) ^ 1, err);'),
    ('power call removed', '		(void)0;\n	mutex_lock'), ('lock or count removed', '	(void)0;\n	fsleep'),
    ('delay removed', '	(void)0;\n	return'), ('branch removed', '	;\n	if (ret >= 0)'),
    ('guard removed', 'if (true)\n'), ('comparison', 'if (ret > 0)'),
    ('write removed', '{\n	 { GC2053_REG_VB, GC2053_VB }'), ('write changed', '(0x00) ^ 1 }'),
    ('write removed', '0x00 }, \n};'), ('write changed', '(GC2053_VB) ^ 1 }'), ('number changed', '((17) + 1)	/*'),
]


def test():
    """The rules, on a text that has one of each; and on the driver, that each mutant differs."""
    made = mutants(lambda file: EXAMPLE if file == 'gc2053.c' else '')
    got = [(m.kind, m.apply(EXAMPLE)) for m in made]
    wrong = [f'{kind}: no such mutant, or not once: {text!r}' for kind, text in EXPECTED
             if sum(k == kind and text in t for k, t in got) != 1]
    wrong += [f'{len(got)} mutants of the example, not {len(EXPECTED)}'] * (len(got) != len(EXPECTED))
    print('TAP version 13\n1..2')
    for line in wrong:
        print(f'# {line}')
    print(f'{"not ok" if wrong else "ok"} 1 - each rule makes what it says of an example')
    texts = {file: (DRIVER / file).read_text() for file in FILES}
    results = [(m.file, m.apply(texts[m.file])) for m in mutants()]
    wrong2 = len(set(results)) != len(results) or any(texts[f] == t for f, t in results) or len(results) < 500
    print(f'{"not ok" if wrong2 else "ok"} 2 - the driver makes {len(results)}, and no two are the same')
    return 1 if wrong or wrong2 else 0


if __name__ == '__main__':
    if sys.argv[1:] == ['test']:
        sys.exit(test())
    for one in mutants():
        print(f'{one.file}: {one.name}')
