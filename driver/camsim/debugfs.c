// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the board saw, for people and tests: /sys/kernel/debug/camsim/N/ holds the trace of
 * supplies, clock, lines and registers, the errors by name, the faults to inject, and figures.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/seq_file.h>
#include <linux/vmalloc.h>

#include "priv.h"

#define TRACE_ENTRIES	8192

struct camsim_trace_entry {
	u64 ns;
	const char *what;
	u16 reg;
	u8 page, val;
	bool is_i2c;
};

/* The newest entries; count goes on and on. */
struct camsim_trace {
	u32 count;
	struct camsim_trace_entry entries[TRACE_ENTRIES];
};

const char * const camsim_rx_error_names[CAMSIM_RX_NUM_ERRORS] = {
	[CAMSIM_RX_SHORT]	= "frame-short",
	[CAMSIM_RX_LONG]	= "frame-too-long",
	[CAMSIM_RX_LINE_LENGTH]	= "line-length-not-format",
	[CAMSIM_RX_ORDER]	= "bayer-order-not-format",
	[CAMSIM_RX_CRC]		= "crc",
	[CAMSIM_RX_DATA_TYPE]	= "data-type-not-format",
	[CAMSIM_RX_TRUNCATED]	= "line-truncated",
	[CAMSIM_RX_NO_START]	= "frame-start-lost",
	[CAMSIM_RX_NO_END]	= "frame-end-lost",
};

static struct dentry *camsim_debugfs_root;

struct camsim_trace *camsim_trace_alloc(void)
{
	return vzalloc(sizeof(struct camsim_trace));
}

void camsim_trace_free(struct camsim_trace *trace)
{
	vfree(trace);
}

static struct camsim_trace_entry *camsim_trace_next(struct camsim *camsim, const char *what)
{
	struct camsim_trace_entry *entry;

	lockdep_assert_held(&camsim->lock);
	entry = &camsim->trace->entries[camsim->trace->count++ % TRACE_ENTRIES];
	*entry = (struct camsim_trace_entry) { .ns = ktime_get_ns(), .what = what };
	return entry;
}

void camsim_trace_pin(struct camsim *camsim, enum sensor_pin pin, bool on)
{
	camsim_trace_next(camsim, sensor_pin_names[pin])->val = on;
}

void camsim_trace_i2c(struct camsim *camsim, const char *what, u8 page, u16 reg, u8 val)
{
	struct camsim_trace_entry *entry = camsim_trace_next(camsim, what);

	entry->is_i2c = true;
	entry->page = page;
	entry->reg = reg;
	entry->val = val;
}

/* Nothing is on or off about an event: its value is more than one. */
void camsim_trace_event(struct camsim *camsim, const char *what)
{
	camsim_trace_next(camsim, what)->val = 2;
}

/* Of a chip with pages those registers that are the same from any are S. */
static void camsim_trace_show_register(struct seq_file *s, const struct sensor_model *model,
				       const struct camsim_trace_entry *e)
{
	if (model->wide)
		seq_printf(s, "%s %04x=%02x\n", e->what, e->reg, e->val);
	else if (e->reg >= model->paged)
		seq_printf(s, "%s S:%02x=%02x\n", e->what, e->reg, e->val);
	else
		seq_printf(s, "%s %u:%02x=%02x\n", e->what, e->page, e->reg, e->val);
}

static void camsim_trace_show_entry(struct seq_file *s, const struct sensor_model *model,
				    const struct camsim_trace_entry *e)
{
	u32 us;
	u64 sec = div_u64_rem(div_u64(e->ns, NSEC_PER_USEC), USEC_PER_SEC, &us);

	seq_printf(s, "%llu.%06u ", sec, us);
	if (e->is_i2c)
		camsim_trace_show_register(s, model, e);
	else if (e->val > 1)
		seq_printf(s, "%s\n", e->what);
	else
		seq_printf(s, "%s %s\n", e->what, e->val ? "on" : "off");
}

static int camsim_trace_show(struct seq_file *s, void *unused)
{
	struct camsim *camsim = s->private;
	struct camsim_trace *copy;
	u32 i, oldest = 0;

	copy = vmalloc(sizeof(*copy));
	if (!copy)
		return -ENOMEM;

	spin_lock_irq(&camsim->lock);
	memcpy(copy, camsim->trace, sizeof(*copy));
	spin_unlock_irq(&camsim->lock);

	if (copy->count > TRACE_ENTRIES)
		oldest = copy->count - TRACE_ENTRIES;
	for (i = oldest; i < copy->count; i++)
		camsim_trace_show_entry(s, camsim->chip.model, &copy->entries[i % TRACE_ENTRIES]);
	vfree(copy);
	return 0;
}

static int camsim_errors_show(struct seq_file *s, void *unused)
{
	struct camsim *camsim = s->private;
	unsigned int i;

	for (i = 0; i < SENSOR_NUM_ERRORS; i++)
		if (camsim->chip.errors[i])
			seq_printf(s, "%s %u\n", sensor_error_names[i], camsim->chip.errors[i]);
	for (i = 0; i < CAMSIM_RX_NUM_ERRORS; i++)
		if (camsim->rx_errors[i])
			seq_printf(s, "%s %u\n", camsim_rx_error_names[i], camsim->rx_errors[i]);
	return 0;
}

static void camsim_stage_show(struct seq_file *s, const char *name,
			      const struct camsim_stage *stage)
{
	seq_printf(s, "%s frames %u mean_us %llu least_us %llu\n", name, stage->frames,
		   stage->frames ? div_u64(div_u64(stage->ns, stage->frames), NSEC_PER_USEC) : 0,
		   div_u64(stage->least_ns, NSEC_PER_USEC));
}

static int camsim_figures_show(struct seq_file *s, void *unused)
{
	struct camsim *camsim = s->private;

	seq_printf(s, "sensed %u\ndelivered %u\nlate %u\nwithout-buffer %u\n", camsim->sensed,
		   camsim->delivered, camsim->late, camsim->unwanted);
	camsim_stage_show(s, "scene", &camsim->scene_time);
	camsim_stage_show(s, "sense", &camsim->sense_time);
	camsim_stage_show(s, "copy", &camsim->copy_time);
	camsim_stage_show(s, "isp", &camsim->isp_time);
	return 0;
}

static int camsim_trace_open(struct inode *inode, struct file *file)
{
	return single_open(file, camsim_trace_show, inode->i_private);
}

static int camsim_errors_open(struct inode *inode, struct file *file)
{
	return single_open(file, camsim_errors_show, inode->i_private);
}

static int camsim_figures_open(struct inode *inode, struct file *file)
{
	return single_open(file, camsim_figures_show, inode->i_private);
}

static struct camsim *camsim_of_seq_file(struct file *file)
{
	return ((struct seq_file *)file->private_data)->private;
}

/* Any write empties the file. */
static ssize_t camsim_trace_write(struct file *file, const char __user *buf, size_t count,
				  loff_t *pos)
{
	struct camsim *camsim = camsim_of_seq_file(file);

	spin_lock_irq(&camsim->lock);
	camsim->trace->count = 0;
	spin_unlock_irq(&camsim->lock);
	return count;
}

static ssize_t camsim_errors_write(struct file *file, const char __user *buf, size_t count,
				   loff_t *pos)
{
	struct camsim *camsim = camsim_of_seq_file(file);

	spin_lock_irq(&camsim->lock);
	memset(camsim->chip.errors, 0, sizeof(camsim->chip.errors));
	memset(camsim->rx_errors, 0, sizeof(camsim->rx_errors));
	camsim->chip_reported = 0;
	camsim->rx_reported = 0;
	spin_unlock_irq(&camsim->lock);
	return count;
}

static ssize_t camsim_figures_write(struct file *file, const char __user *buf, size_t count,
				    loff_t *pos)
{
	struct camsim *camsim = camsim_of_seq_file(file);

	memset(&camsim->scene_time, 0, sizeof(camsim->scene_time));
	memset(&camsim->sense_time, 0, sizeof(camsim->sense_time));
	memset(&camsim->copy_time, 0, sizeof(camsim->copy_time));
	memset(&camsim->isp_time, 0, sizeof(camsim->isp_time));
	return count;
}

static const struct file_operations camsim_trace_fops = {
	.owner = THIS_MODULE,
	.open = camsim_trace_open,
	.read = seq_read,
	.write = camsim_trace_write,
	.llseek = seq_lseek,
	.release = single_release,
};

static const struct file_operations camsim_errors_fops = {
	.owner = THIS_MODULE,
	.open = camsim_errors_open,
	.read = seq_read,
	.write = camsim_errors_write,
	.llseek = seq_lseek,
	.release = single_release,
};

static const struct file_operations camsim_figures_fops = {
	.owner = THIS_MODULE,
	.open = camsim_figures_open,
	.read = seq_read,
	.write = camsim_figures_write,
	.llseek = seq_lseek,
	.release = single_release,
};

/* Each kind of error is said once in the log; the count is in debugfs. */
void camsim_report_errors(struct camsim *camsim)
{
	u32 chip = 0, rx = 0;
	unsigned long flags;
	unsigned int i;

	spin_lock_irqsave(&camsim->lock, flags);
	for (i = 0; i < SENSOR_NUM_ERRORS; i++)
		if (camsim->chip.errors[i])
			chip |= BIT(i);
	for (i = 0; i < CAMSIM_RX_NUM_ERRORS; i++)
		if (camsim->rx_errors[i])
			rx |= BIT(i);
	chip &= ~camsim->chip_reported;
	rx &= ~camsim->rx_reported;
	camsim->chip_reported |= chip;
	camsim->rx_reported |= rx;
	spin_unlock_irqrestore(&camsim->lock, flags);

	for (i = 0; i < SENSOR_NUM_ERRORS; i++)
		if (chip & BIT(i))
			dev_warn(camsim->dev, "sensor: %s\n", sensor_error_names[i]);
	for (i = 0; i < CAMSIM_RX_NUM_ERRORS; i++)
		if (rx & BIT(i))
			dev_warn(camsim->dev, "receiver: %s\n", camsim_rx_error_names[i]);
}

void camsim_rx_error(struct camsim *camsim, enum camsim_rx_error error)
{
	spin_lock_irq(&camsim->lock);
	camsim->rx_errors[error]++;
	spin_unlock_irq(&camsim->lock);
	camsim_report_errors(camsim);
}

void camsim_debugfs_add(struct camsim *camsim)
{
	struct dentry *dir;
	char name[12];

	snprintf(name, sizeof(name), "%u", camsim->id);
	dir = debugfs_create_dir(name, camsim_debugfs_root);
	debugfs_create_u32("sensed", 0444, dir, &camsim->sensed);
	debugfs_create_file("errors", 0644, dir, camsim, &camsim_errors_fops);
	debugfs_create_file("trace", 0644, dir, camsim, &camsim_trace_fops);
	debugfs_create_file("figures", 0644, dir, camsim, &camsim_figures_fops);
	debugfs_create_u32("fault_short_lines", 0644, dir, &camsim->faults.short_lines);
	debugfs_create_u32("fault_long_lines", 0644, dir, &camsim->faults.long_lines);
	debugfs_create_bool("fault_truncate", 0644, dir, &camsim->faults.truncate);
	debugfs_create_bool("fault_lost_start", 0644, dir, &camsim->faults.lost_start);
	debugfs_create_bool("fault_lost_end", 0644, dir, &camsim->faults.lost_end);
	debugfs_create_bool("fault_no_signal", 0644, dir, &camsim->faults.no_signal);
	debugfs_create_u32("fault_nack", 0644, dir, &camsim->faults.nack);
	debugfs_create_u32("fault_slow_ms", 0644, dir, &camsim->faults.slow_ms);
	debugfs_create_u32("fault_power", 0644, dir, &camsim->faults.power);
	debugfs_create_u32("fault_missing_rail", 0644, dir, &camsim->faults.missing_rail);
	debugfs_create_u32("fault_late_clock_ms", 0644, dir, &camsim->faults.late_clock_ms);
	debugfs_create_bool("fault_refuse", 0644, dir, &camsim->faults.refuse);
	debugfs_create_bool("fault_crc", 0644, dir, &camsim->faults.crc);
	debugfs_create_u32("fault_residue", 0644, dir, &camsim->faults.residue);
	debugfs_create_bool("fault_wrong_id", 0644, dir, &camsim->faults.wrong_id);
	camsim->debugfs = dir;
}

void camsim_debugfs_remove(struct camsim *camsim)
{
	debugfs_remove_recursive(camsim->debugfs);
}

void camsim_debugfs_init(void)
{
	camsim_debugfs_root = debugfs_create_dir("camsim", NULL);
}

void camsim_debugfs_exit(void)
{
	debugfs_remove_recursive(camsim_debugfs_root);
}
