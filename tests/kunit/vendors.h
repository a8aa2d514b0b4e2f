/* SPDX-License-Identifier: MIT */
/*
 * For the KUnit tests, after the driver's own file: its list of registers against those that
 * vendors' drivers send (see ../selftests/camsim/vendors.h). What most of the eighteen write, the
 * driver writes, byte by byte; and nothing else.
 */
#ifndef VOLET_KUNIT_VENDORS_H
#define VOLET_KUNIT_VENDORS_H

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-const-variable"
#include "vendor-lists.h"
#pragma GCC diagnostic pop

#define ANY_PAGE	5
#define NOT_WRITTEN	(-1)

#define A_LIST(name)	{ name##_list, ARRAY_SIZE(name##_list) }

static const struct {
	const u16 *words;
	size_t num;
} vendor_lists[] = {
	A_LIST(rockchip), A_LIST(rockchip_1lane), A_LIST(ingenic_t31_40), A_LIST(ingenic_t31_30),
	A_LIST(ingenic_t31_25), A_LIST(ingenic_t31_15), A_LIST(ingenic_t30_25), A_LIST(allwinner_30),
	A_LIST(allwinner_25), A_LIST(allwinner_20), A_LIST(canaan), A_LIST(canaan_800),
	A_LIST(hisilicon), A_LIST(goke), A_LIST(goke_wdr), A_LIST(sophgo), A_LIST(sophgo_1lane),
	A_LIST(taixin),
};

/* What a list leaves in each register: of the pages, and of those that are on any */
struct written {
	s16 regs[ANY_PAGE + 1][256];
};

static void write_list(struct written *written, const u16 *words, size_t num)
{
	unsigned int page = 0;
	size_t i;

	memset(written, 0xff, sizeof(*written));
	for (i = 0; i < num; i++) {
		u8 reg = words[i] >> 8, val = words[i] & 0xff;

		if (reg == 0xfe)
			page = val & 0x80 ? 0 : val % ANY_PAGE;
		else
			written->regs[reg < 0xf0 ? page : ANY_PAGE][reg] = val;
	}
}

/* The value that most of the lists leave in a register, which may be none */
static int usual(const struct written *lists, unsigned int page, unsigned int reg)
{
	unsigned int i, j, count, most = 0;
	int val = NOT_WRITTEN;

	for (i = 0; i < ARRAY_SIZE(vendor_lists); i++) {
		for (count = 0, j = 0; j < ARRAY_SIZE(vendor_lists); j++)
			count += lists[j].regs[page][reg] == lists[i].regs[page][reg];
		if (count > most) {
			most = count;
			val = lists[i].regs[page][reg];
		}
	}
	return val;
}

static bool is_of_controls(unsigned int page, unsigned int reg)
{
	static const u8 regs[] = {
		0x03, 0x04, 0x17, 0x3e, 0x41, 0x42, 0xb1, 0xb2, 0xb3, 0xb4, 0xb8, 0xb9,
	};

	return !page && memchr(regs, reg, sizeof(regs));
}

static void the_list_is_what_most_vendors_send(struct kunit *test)
{
	struct bench *bench = test->priv;
	struct written *lists, *ours;
	unsigned int i, page, reg;
	int err = 0;

	lists = kunit_kcalloc(test, ARRAY_SIZE(vendor_lists) + 1, sizeof(*lists), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, lists);
	for (i = 0; i < ARRAY_SIZE(vendor_lists); i++)
		write_list(&lists[i], vendor_lists[i].words, vendor_lists[i].num);

	/* From the chip's log, so that pages, widths and byte orders count. */
	ours = &lists[i];
	memset(ours, 0xff, sizeof(*ours));
	for (i = 0; i < ARRAY_SIZE(gc2053_mode_regs); i++)
		gc2053_write(&bench->gc2053, gc2053_mode_regs[i].reg, gc2053_mode_regs[i].val, &err);
	KUNIT_ASSERT_EQ(test, 0, err);
	KUNIT_ASSERT_LE(test, bench->chip.num, MAX_WRITES);
	for (i = 0; i < bench->chip.num; i++) {
		reg = bench->chip.log[i].reg;
		page = reg < 0xf0 ? bench->chip.log[i].page : ANY_PAGE;
		KUNIT_ASSERT_LE(test, page, ANY_PAGE);
		if (reg != 0xfe)
			ours->regs[page][reg] = bench->chip.log[i].val;
	}

	/* The one register that the driver adds: the default of the order of colours under flips */
	KUNIT_EXPECT_EQ(test, NOT_WRITTEN, usual(lists, 1, 0x99));
	KUNIT_EXPECT_EQ(test, 0x05, ours->regs[1][0x99]);
	ours->regs[1][0x99] = NOT_WRITTEN;
	for (page = 0; page <= ANY_PAGE; page++)
		for (reg = 0; reg < 256; reg++)
			if (!is_of_controls(page, reg))
				KUNIT_EXPECT_EQ_MSG(test, usual(lists, page, reg),
						    ours->regs[page][reg], "%u:%02x", page, reg);
}

#endif
