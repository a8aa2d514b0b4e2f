/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * camsim, the virtual camera board: what its files share.
 *
 * One struct camsim is one camera: supplies, clock, lines, I2C bus and the sensor model on it
 * (board.c, i2c.c, sensor.c and the models), the CSI-2 receiver and ISP with their media graph
 * (graph.c, csi.c, formats.c, isp-subdev.c), the capture queues (capture.c), the scene (scene.c)
 * and the thread that makes a frame of it each time the registers say so (stream.c, sense.c,
 * pattern.c, isp.c, tag.c).
 * What of all that is to fail is said through debugfs.c and faults.c.
 *
 * Locks, outermost first: a video node's mutex; the sub-devices' state locks; scene->lock;
 * camsim->lock (registers, errors, trace) and camsim->queue_lock, both spinlocks and leaves.
 */
#ifndef CAMSIM_PRIV_H
#define CAMSIM_PRIV_H

#include <linux/clk-provider.h>
#include <linux/gpio/driver.h>
#include <linux/i2c.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <media/media-device.h>
#include <media/v4l2-async.h>
#include <media/v4l2-ctrls.h>
#include <media/v4l2-dev.h>
#include <media/v4l2-device.h>
#include <media/v4l2-subdev.h>
#include <media/videobuf2-v4l2.h>

#include "sensor.h"

#define CAMSIM_MIN_WIDTH	64
#define CAMSIM_MIN_HEIGHT	64
#define CAMSIM_BLACK		64
#define CAMSIM_WHITE		1023

enum camsim_node_id {
	CAMSIM_RAW,
	CAMSIM_NV12,
	CAMSIM_NUM_NODES
};

enum camsim_csi_pad {
	CAMSIM_CSI_SINK,
	CAMSIM_CSI_RAW,
	CAMSIM_CSI_ISP,
	CAMSIM_CSI_NUM_PADS
};

enum camsim_isp_pad {
	CAMSIM_ISP_SINK,
	CAMSIM_ISP_SOURCE,
	CAMSIM_ISP_NUM_PADS
};

/* What the receiver saw */
enum camsim_rx_error {
	CAMSIM_RX_SHORT,
	CAMSIM_RX_LONG,
	CAMSIM_RX_LINE_LENGTH,
	CAMSIM_RX_ORDER,
	CAMSIM_RX_CRC,
	CAMSIM_RX_DATA_TYPE,
	CAMSIM_RX_TRUNCATED,
	CAMSIM_RX_NO_START,
	CAMSIM_RX_NO_END,
	CAMSIM_RX_NUM_ERRORS
};

struct camsim;
struct camsim_scene;
struct camsim_tables;
struct camsim_trace;

/* A raw format; red's column and line are the first or the second of two. */
struct camsim_format {
	u32 code, fourcc;
	u32 bits, bytes;		/* of a pixel: on the wires, in memory */
	bool red_column, red_line;
};

struct camsim_buffer {
	struct vb2_v4l2_buffer vb;
	struct list_head list;
};

/* The half of a capture node that the sensor thread sees; lives as long as the camera. */
struct camsim_queue {
	struct list_head buffers;	/* under camsim->queue_lock, as all here */
	struct camsim_buffer *current_buffer;
	bool streaming;			/* frames take buffers */
	bool starting;			/* frames give them back to wait, not to userspace */
	bool counting;			/* from the first frame that took one after the start */
	u32 sequence_base;
	u32 width, height, bytesperline, sizeimage;
};

/* The half that userspace sees; its memory goes when the last file is closed. */
struct camsim_node {
	struct camsim *camsim;
	enum camsim_node_id id;
	struct video_device vdev;
	struct vb2_queue queue;
	struct mutex lock;		/* serialises ioctls and the queue */
	struct media_pad pad;
	struct v4l2_pix_format format;
};

/* What is in a buffer where nothing came */
enum camsim_residue {
	CAMSIM_RESIDUE_ZERO,
	CAMSIM_RESIDUE_KEPT,		/* what was there before */
	CAMSIM_RESIDUE_CANARY,		/* a byte that no picture is made of */
};

struct camsim_faults {
	u32 short_lines;		/* lines that arrive of each frame, 0 for all */
	u32 long_lines;			/* that arrive after those of each frame */
	bool truncate;			/* the last line ends in its middle */
	bool lost_start, lost_end;	/* of each frame */
	bool no_signal;			/* nothing arrives */
	u32 nack;			/* the n-th message from now gets no answer */
	u32 slow_ms;			/* how much longer a transfer takes */
	u32 power;			/* the n-th supply or clock from now doesn't come on */
	u32 missing_rail;		/* 1 + number of the supply that is on without a voltage */
	u32 late_clock_ms;		/* how long after it was switched on the clock runs */
	bool refuse;			/* the receiver doesn't take the sensor */
	bool crc;
	bool wrong_id;
	u32 residue;			/* enum camsim_residue */

	/* By controls, see faults.c; those that are no number happen once */
	u32 drop_percent;
	bool buf_error, reqbufs_error, qbuf_error, streamon_error;
	u32 dropped;			/* what adds up to one frame that is dropped, in 1/100 */
};

/* Time spent since the board was made, and for how many frames; debugfs.c starts it anew */
struct camsim_stage {
	u64 ns;
	u64 least_ns;
	u32 frames;
};

struct camsim {
	struct kref kref;
	struct device *dev;
	u32 id;

	spinlock_t lock;		/* the model, errors, faults and trace */
	struct sensor chip;
	u16 sensor_address;
	u32 rx_errors[CAMSIM_RX_NUM_ERRORS];
	u32 chip_reported, rx_reported;
	struct camsim_faults faults;
	struct camsim_trace *trace;

	struct clk_hw clock;
	bool clock_on;			/* as its consumer sees it */
	struct delayed_work late_clock;
	struct work_struct disconnect;
	struct gpio_chip gpio;
	struct i2c_adapter adapter;

	struct media_device mdev;
	struct v4l2_device v4l2_dev;
	struct v4l2_async_notifier notifier;
	struct media_pipeline pipe;
	bool graph_registered;

	struct v4l2_subdev csi;
	struct media_pad csi_pads[CAMSIM_CSI_NUM_PADS];
	struct v4l2_ctrl_handler csi_ctrls;
	struct v4l2_ctrl *pixel_tag;
	struct media_pad *sensor_pad;
	struct v4l2_subdev *sensor;

	struct v4l2_subdev isp;
	struct media_pad isp_pads[CAMSIM_ISP_NUM_PADS];

	struct camsim_node *nodes[CAMSIM_NUM_NODES];

	spinlock_t queue_lock;		/* the queues */
	struct camsim_queue queues[CAMSIM_NUM_NODES];
	wait_queue_head_t wait;		/* streaming, stopping, and buffers given back */
	struct task_struct *thread;
	u32 sequence;			/* of the next frame, since the receiver was started */
	u32 sensed;			/* frames since the board was made */
	u32 rx_width, rx_height;	/* what the receiver was set up for */
	const struct camsim_format *rx_format;
	u32 *raw;			/* the frame on the wires */
	struct camsim_tables *tables;

	struct camsim_scene *scene;

	struct camsim_stage scene_time, sense_time, isp_time, copy_time;
	u32 delivered, late, unwanted;

	struct dentry *debugfs;
};

/* board.c */
struct camsim *camsim_get(struct camsim *camsim);
void camsim_put(struct camsim *camsim);
void camsim_set_pin(struct camsim *camsim, enum sensor_pin pin, bool on);

/* i2c.c */
const struct sensor_model *camsim_i2c_model(struct device *dev, struct device_node *bus,
					    u16 *address);
int camsim_i2c_init(struct camsim *camsim, struct device_node *bus);

/* graph.c */
int camsim_graph_init(struct camsim *camsim);
int camsim_graph_start(struct camsim *camsim);
void camsim_graph_cleanup(struct camsim *camsim);
int camsim_check_entity(struct video_device *vdev);

/* csi.c and isp-subdev.c */
int camsim_csi_init(struct camsim *camsim);
void camsim_csi_cleanup(struct camsim *camsim);
void camsim_csi_suspend(struct camsim *camsim);
int camsim_csi_resume(struct camsim *camsim);
int camsim_isp_init(struct camsim *camsim);
void camsim_isp_cleanup(struct camsim *camsim);

/* formats.c */
const struct camsim_format *camsim_format(const struct camsim *camsim, u32 index);
const struct camsim_format *camsim_format_of_code(const struct camsim *camsim, u32 code);
const struct camsim_format *camsim_format_of_fourcc(const struct camsim *camsim, u32 fourcc);

/* capture.c */
int camsim_capture_set_allocator(const char *name);
int camsim_capture_register(struct camsim *camsim, enum camsim_node_id id);
void camsim_capture_unregister(struct camsim *camsim);
void camsim_capture_fail(struct camsim *camsim);

/* stream.c */
int camsim_stream_start(struct camsim *camsim);
void camsim_stream_stop(struct camsim *camsim);

/* scene.c and generated.c: the picture in front of the sensor */
struct camsim_picture {
	const u8 *y, *u, *v;
	u32 width, height;
	u32 y_stride, c_stride, c_step;
	u32 id;
	bool full_range, bt709;
};

int camsim_scene_init(struct camsim *camsim);
void camsim_scene_cleanup(struct camsim *camsim);
void camsim_scene_free(struct camsim *camsim);
/* The picture stays as it is until it is given back. */
const struct camsim_picture *camsim_scene_lock(struct camsim *camsim);
void camsim_scene_unlock(struct camsim *camsim);

struct camsim_generated;
struct camsim_generated *camsim_generated_alloc(u32 camera);
void camsim_generated_free(struct camsim_generated *generated);
const struct camsim_picture *camsim_generated_next(struct camsim_generated *generated);

/* sense.c, pattern.c, isp.c, tag.c: the computed stages */
struct camsim_tables *camsim_tables_alloc(void);
void camsim_tables_free(struct camsim_tables *tables);

/* A frame as the sensor sees it; light is exposure x gain at that time */
struct camsim_shot {
	const struct sensor_model *model;
	const struct sensor_view *view;
	const struct camsim_picture *picture;
	const u8 *tag;			/* NULL for none */
	u32 exposure, gain;
};

/* A line has a whole number of colour pairs. */
static inline u32 camsim_raw_stride(const struct sensor_view *view)
{
	return view->width / 2 * 4;
}

void camsim_sense(struct camsim_tables *tables, const struct camsim_shot *shot, u32 *raw);
void camsim_pattern_line(const struct sensor_view *view, u32 line, __le16 *out);
void camsim_tag_make(u8 *tag, u32 camera, u32 frame, u64 ns, u32 scene);
int camsim_tag_row(int y, u32 height);
bool camsim_tag_bit(const u8 *tag, int row, int column);
u16 camsim_linear(u32 srgb_256);
void camsim_isp_frame(struct camsim_tables *tables, const struct camsim_format *format,
		      const u32 *raw, u32 width, u32 height, u32 lines, u8 *y, u8 *uv);

/* faults.c */
int camsim_faults_init(void);
void camsim_faults_exit(void);
void camsim_faults_add_ctrls(struct camsim *camsim);
bool camsim_fault_take(struct camsim *camsim, bool *fault);
bool camsim_fault_drops(struct camsim *camsim);
void camsim_clock_init_late(struct camsim *camsim);
void camsim_clock_set(struct camsim *camsim, bool on);

/* debugfs.c */
extern const char * const camsim_rx_error_names[CAMSIM_RX_NUM_ERRORS];
void camsim_debugfs_init(void);
void camsim_debugfs_exit(void);
void camsim_debugfs_add(struct camsim *camsim);
void camsim_debugfs_remove(struct camsim *camsim);
struct camsim_trace *camsim_trace_alloc(void);
void camsim_trace_free(struct camsim_trace *trace);
void camsim_trace_pin(struct camsim *camsim, enum sensor_pin pin, bool on);
void camsim_trace_i2c(struct camsim *camsim, const char *what, u8 page, u16 reg, u8 val);
void camsim_trace_event(struct camsim *camsim, const char *what);
void camsim_report_errors(struct camsim *camsim);
void camsim_rx_error(struct camsim *camsim, enum camsim_rx_error error);

#endif
