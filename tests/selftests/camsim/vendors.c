// SPDX-License-Identifier: MIT
/*
 * Virtual board: the sensor model against what vendors' drivers send to the chip, so that it isn't
 * only as good as the driver that was written beside it. Each sequence has to give the size, order
 * and rate that its vendor declares; where it doesn't, vendors.h says what comes instead.
 */
#include "kselftest_harness.h"

#include "sensor.c"
#include "gc2053-model.c"
#include "vendors.h"

#define US	1000ULL

/* What of a vendor's facts is not as it has to be */
#define SIZE	BIT(0)
#define ORDER	BIT(1)
#define LINE	BIT(2)
#define FRAME	BIT(3)
#define RATE	BIT(4)
#define CLOCK	BIT(5)
#define ERRORS	BIT(6)
#define STREAM	BIT(7)

#define MOST_WORDS	160

static void send(struct sensor *m, u8 reg, u8 val)
{
	sensor_address(m, reg);
	sensor_write(m, val);
}

static void send_list(struct sensor *m, const u16 *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		send(m, list[i] >> 8, list[i] & 0xff);
}

/* Two registers, the upper half of the value in the first: as one transfer, or one by one */
static void send_16(struct sensor *m, const struct vendor *v, u8 reg, u16 val)
{
	send(m, reg, val >> 8);
	if (v->burst)
		sensor_write(m, val & 0xff);
	else
		send(m, reg + 1, val & 0xff);
}

static void send_exposure(struct sensor *m, const struct vendor *v, u32 lines)
{
	u32 frame = v->declared.frame;

	if (v->stretches)
		send_16(m, v, 0x41, lines + 16 > frame ? lines + 16 : frame);
	send_16(m, v, 0x03, lines);
}

static void send_row(struct sensor *m, u32 row)
{
	send(m, 0xb4, row >> 24);
	send(m, 0xb3, row >> 16 & 0xff);
	send(m, 0xb8, row >> 8 & 0xff);
	send(m, 0xb9, row & 0xff);
}

/* Returns what the vendor takes it for: a gain, both in 1/64 */
static u32 send_gain(struct sensor *m, const struct vendor *v, u32 gain)
{
	u32 wanted = gain * v->unity / 64, i = 0;

	if (v->way == PREGAIN) {
		send_16(m, v, 0xb1, wanted);
		return gain;
	}
	while (i + 1 < v->n_gains && v->gains[i + 1] <= wanted)
		i++;
	send_row(m, rows[i]);
	if (v->way == ROW)
		return v->gains[i] * 64 / v->unity;
	wanted = wanted * 64 / v->gains[i];
	send(m, 0xb1, wanted >> 6);
	send(m, 0xb2, (wanted & 0x3f) << 2);
	return gain;
}

static void replay(struct sensor *m, const struct vendor *v)
{
	static const enum sensor_pin order[] = {
		SENSOR_IOVDD, SENSOR_DVDD, SENSOR_AVDD, SENSOR_XCLK, SENSOR_PWDN, SENSOR_RESET,
	};
	u64 now = 1000000 * US;

	sensor_init(m, &gc2053_model, v->xclk);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		sensor_set_pin(m, order[i], true, now += 1000 * US);
	now += 1000 * US;
	if (!sensor_answers(m, now))
		return;
	send_list(m, v->list, v->n);
	if (v->controls) {
		send_16(m, v, 0x41, v->declared.frame);
		send_exposure(m, v, v->exposure);
		send_gain(m, v, 64);
	}
	send_list(m, v->start, v->n_start);
}

static enum order order_of(const struct sensor_view *view)
{
	if (view->red_line)
		return view->red_column ? RGGB : GRBG;
	return view->red_column ? GBRG : BGGR;
}

/* Within a thousandth; whoever writes "30 frames/s" may mean 30.02 */
static bool near_enough(u32 a, u32 b)
{
	return (a > b ? a - b : b - a) <= b / 1000;
}

static struct facts facts_of(const struct sensor_view *view)
{
	return (struct facts) {
		.width = view->width, .height = view->height, .order = order_of(view),
		.line = view->line_length, .frame = view->frame_length,
		.mfps = 1000 * NSEC_PER_SEC / view->frame_ns,
	};
}

/* What has to come: what is declared, if nothing else is written down */
static struct facts expected(const struct vendor *v)
{
	const struct facts *d = &v->declared, *s = &v->seen;

	return (struct facts) {
		.width = s->width ?: d->width, .height = s->height ?: d->height,
		.order = s->order ?: d->order, .line = s->line ?: d->line,
		.frame = s->frame ?: d->frame, .mfps = s->mfps ?: d->mfps,
	};
}

static unsigned int differences(const struct vendor *v)
{
	struct facts is, has_to_be = expected(v);
	struct sensor m;
	struct sensor_view view;
	unsigned int wrong = 0;

	replay(&m, v);
	sensor_view_get(&m, &view);
	sensor_view_get(&m, &view);
	is = facts_of(&view);
	wrong |= is.width != has_to_be.width || is.height != has_to_be.height ? SIZE : 0;
	wrong |= is.order != has_to_be.order ? ORDER : 0;
	wrong |= is.line != has_to_be.line ? LINE : 0;
	wrong |= is.frame != has_to_be.frame ? FRAME : 0;
	wrong |= !near_enough(is.mfps, has_to_be.mfps) ? RATE : 0;
	wrong |= v->clock && view.pixel_clock != v->clock ? CLOCK : 0;
	wrong |= memcmp(m.errors, v->errors, sizeof(m.errors)) ? ERRORS : 0;
	wrong |= !sensor_streaming(&m) ? STREAM : 0;
	return wrong;
}

TEST(sequences_give_what_vendors_declare)
{
	for (size_t i = 0; i < ARRAY_SIZE(vendors); i++) {
		EXPECT_EQ(0, differences(&vendors[i])) {
			TH_LOG("%s: see the bits in vendors.c", vendors[i].name);
		}
	}
}

/* Something that is no longer a disagreement must not stay written down as one. */
TEST(disagreements_are_some)
{
	for (size_t i = 0; i < ARRAY_SIZE(vendors); i++) {
		const struct facts *d = &vendors[i].declared, *s = &vendors[i].seen;

		EXPECT_TRUE(!s->width || s->width != d->width);
		EXPECT_TRUE(!s->height || s->height != d->height);
		EXPECT_TRUE(!s->order || s->order != d->order);
		EXPECT_TRUE(!s->line || s->line != d->line);
		EXPECT_TRUE(!s->frame || s->frame != d->frame);
		EXPECT_TRUE(!s->mfps || !near_enough(s->mfps, d->mfps));
	}
}

/* What page 0 has for a control is, on another page, a mistake of its own kind to the model. */
static u32 unknown_writes(const struct sensor *m)
{
	return m->errors[SENSOR_ERR_UNKNOWN_REGISTER] + m->errors[SENSOR_ERR_WRONG_PAGE];
}

/* The registers that a wide dynamic range takes are the only ones that the model doesn't know. */
TEST(unknown_registers_are_those_of_the_table)
{
	static const u16 unknown[] = { 0x4e0, 0x142, 0x146, 0x147, 0x14f, 0x151 };
	size_t found = 0;

	for (size_t i = 0; i < ARRAY_SIZE(vendors); i++) {
		struct sensor m;

		sensor_init(&m, &gc2053_model, vendors[i].xclk);
		for (size_t j = 0; j < vendors[i].n; j++) {
			u32 before = unknown_writes(&m);

			send_list(&m, &vendors[i].list[j], 1);
			if (unknown_writes(&m) == before)
				continue;
			ASSERT_LT(found, ARRAY_SIZE(unknown));
			EXPECT_EQ(unknown[found++], m.page << 8 | vendors[i].list[j] >> 8);
		}
	}
	EXPECT_EQ(ARRAY_SIZE(unknown), found);
}

TEST(exposures_arrive)
{
	for (size_t i = 0; i < ARRAY_SIZE(vendors); i++) {
		const struct vendor *v = &vendors[i];
		u32 frame = expected(v).frame;
		u32 lines[] = { 4, 100, 255, 256, 1000, v->exposure_max };
		struct sensor m;
		struct sensor_view view;

		replay(&m, v);
		for (size_t j = 0; j < ARRAY_SIZE(lines); j++) {
			bool longer = v->stretches && lines[j] + 16 > frame;

			send_exposure(&m, v, lines[j]);
			sensor_view_get(&m, &view);
			EXPECT_EQ(lines[j], view.exposure);
			EXPECT_EQ(longer ? lines[j] + 16 : frame, view.frame_length) {
				TH_LOG("%s with an exposure of %u lines", v->name, lines[j]);
			}
		}
		EXPECT_EQ(v->errors[SENSOR_ERR_WRONG_PAGE], m.errors[SENSOR_ERR_WRONG_PAGE]);
	}
}

TEST(gains_are_rows_of_the_table)
{
	static const u32 gains[] = {
		64, 65, 100, 127, 200, 300, 600, 1023, 1500, 2900, 3900, 7073,
	};

	for (size_t i = 0; i < ARRAY_SIZE(vendors); i++) {
		const struct vendor *v = &vendors[i];
		u32 most = v->way == PREGAIN ? 1023 : v->gains[v->n_gains - 1] * 64 / v->unity;
		struct sensor m;
		struct sensor_view view;

		replay(&m, v);
		for (size_t j = 0; j < ARRAY_SIZE(gains) && gains[j] <= most; j++) {
			u32 meant = send_gain(&m, v, gains[j]);
			u32 is;

			sensor_view_get(&m, &view);
			sensor_view_get(&m, &view);
			is = view.gain / 64;
			EXPECT_LE((is > meant ? is - meant : meant - is) * 1000,
				  v->tolerance * meant) {
				TH_LOG("%s: %u of %u", v->name, is, meant);
			}
		}
		EXPECT_EQ(0, m.errors[SENSOR_ERR_GAIN_ROW]);

		send_row(&m, rows[3] ^ 1);
		sensor_view_get(&m, &view);
		sensor_view_get(&m, &view);
		EXPECT_EQ(1, m.errors[SENSOR_ERR_GAIN_ROW]);
	}
}

/* Every value of a register in a list is another; returns how many there were. */
static size_t change(const u16 *from, u16 *to, size_t n, u8 page, u8 reg, u16 bits)
{
	size_t changed = 0;
	u8 now = 0;

	for (size_t i = 0; i < n; i++) {
		to[i] = from[i];
		if (from[i] >> 8 == 0xfe) {
			now = from[i] & 0x07;
		} else if (from[i] >> 8 == reg && (now == page || reg >= GC2053_PAGED)) {
			to[i] ^= bits;
			changed++;
		}
	}
	return changed;
}

/* One value of a list changed, and what is said of it no longer holds. */
TEST(other_values_are_noticed)
{
	static const struct {
		u8 page, reg;
		u16 bits;		/* that change, of register and value */
		unsigned int wrong;	/* what has to be noticed, at least */
		size_t lists;		/* that have the register */
	} cases[] = {
		{ 1, 0x98, 0x0010, SIZE, 18 },			/* width */
		{ 1, 0x96, 0x0001, SIZE, 15 },			/* height */
		{ 1, 0x94, 0x0001, ORDER, 18 },
		{ 1, 0x92, 0x0001, ORDER, 15 },
		{ 0, 0x06, 0x0008, LINE | RATE, 18 },
		{ 0, 0x07, 0x0001, FRAME | RATE, 18 },		/* vertical blanking */
		{ 0, 0x87, 0x0100, ERRORS, 18 },		/* to an unknown register */
		{ 0, 0xf6, 0x0003, RATE, 18 },
		{ 0, 0xf7, 0x0002, RATE, 18 },
		{ 0, 0xf8, 0x0001, RATE, 18 },
		{ 0, 0xf9, 0x0002, RATE, 18 },
		{ 0, 0xf9, 0x0008, ERRORS, 18 },		/* to an unknown divider */
		{ 3, 0x12, 0x0008, ERRORS, 18 },		/* pixels of a line, in CSI-2 */
		{ 0, 0x3e, 0x0080, STREAM, 18 },
	};
	u16 list[MOST_WORDS], start[MOST_WORDS];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t lists = 0;

		for (size_t j = 0; j < ARRAY_SIZE(vendors); j++) {
			struct vendor other = vendors[j];
			size_t changed;

			ASSERT_GE(MOST_WORDS, other.n);
			ASSERT_GE(MOST_WORDS, other.n_start);
			changed = change(vendors[j].list, list, other.n, cases[i].page,
					 cases[i].reg, cases[i].bits);
			changed += change(vendors[j].start, start, other.n_start, cases[i].page,
					  cases[i].reg, cases[i].bits);
			other.list = list;
			other.start = start;
			if (!changed)
				continue;
			lists++;
			EXPECT_EQ(cases[i].wrong, differences(&other) & cases[i].wrong) {
				TH_LOG("%s with another %u:%02x", other.name, cases[i].page,
				       cases[i].reg);
			}
		}
		EXPECT_EQ(cases[i].lists, lists);
	}
}

TEST_HARNESS_MAIN
