// SPDX-License-Identifier: GPL-2.0-only
/*
 * The board's time: a thread that, while the receiver runs and the registers say that the
 * sensor streams, starts a frame each frame period, has it computed if anybody gave a buffer
 * for it, and gives the buffers back when its last line would be through.
 *
 * What a buffer says is what the wires brought: payload in bytes, an error flag on a frame that
 * is not whole, and zeros from the payload's end to the end of the image. With fault_residue what
 * was in the buffer before stays there instead, as behind a receiver that only ever writes, or a
 * canary does.
 */
#include <linux/kthread.h>
#include <linux/sched.h>
#include <linux/unaligned.h>
#include <media/v4l2-event.h>

#include "camsim.h"
#include "priv.h"

#define CAMSIM_CANARY	0xa5

/* One frame on its way */
struct camsim_frame {
	struct sensor_view view;
	u32 exposure, gain;
	u64 start_ns;
	u32 sequence, number;
	u32 lines;			/* that reach the receiver whole */
	bool part;			/* and a half of the next */
	bool lost_end;
	bool bad;
	bool crc;
	struct camsim_buffer *buffers[CAMSIM_NUM_NODES];
};

static bool camsim_sensor_streams(struct camsim *camsim)
{
	unsigned long flags;
	bool streams;

	spin_lock_irqsave(&camsim->lock, flags);
	streams = sensor_streaming(&camsim->chip);
	spin_unlock_irqrestore(&camsim->lock, flags);
	return streams;
}

static void camsim_stage_done(struct camsim_stage *stage, u64 start)
{
	u64 ns = ktime_get_ns() - start;

	stage->ns += ns;
	stage->least_ns = stage->frames ? min(stage->least_ns, ns) : ns;
	stage->frames++;
}

/* -----------------------------------------------------------------------------
 * Buffers
 */

static struct camsim_buffer *camsim_take_buffer(struct camsim *camsim, struct camsim_queue *queue,
						u32 sequence)
{
	struct camsim_buffer *buf = NULL;

	spin_lock_irq(&camsim->queue_lock);
	if (queue->streaming)
		buf = list_first_entry_or_null(&queue->buffers, struct camsim_buffer, list);
	if (buf)
		list_del(&buf->list);
	if (buf && !queue->counting) {
		queue->counting = true;
		queue->sequence_base = sequence;
	}
	queue->current_buffer = buf;
	spin_unlock_irq(&camsim->queue_lock);
	if (buf && READ_ONCE(camsim->faults.residue) == CAMSIM_RESIDUE_CANARY)
		memset(vb2_plane_vaddr(&buf->vb.vb2_buf, 0), CAMSIM_CANARY, queue->sizeimage);
	return buf;
}

/* The buffer waits for the next frame if this is so. Returns whether it was. */
static bool camsim_keep_buffer_if(struct camsim *camsim, struct camsim_frame *frame,
				  enum camsim_node_id id, const bool *keep)
{
	struct camsim_queue *queue = &camsim->queues[id];
	bool kept;

	spin_lock_irq(&camsim->queue_lock);
	kept = *keep;
	if (kept) {
		list_add(&frame->buffers[id]->list, &queue->buffers);
		queue->current_buffer = NULL;
		frame->buffers[id] = NULL;
		/* The first that userspace gets is number 0. */
		if (keep == &queue->starting)
			queue->counting = false;
	}
	spin_unlock_irq(&camsim->queue_lock);
	wake_up_all(&camsim->wait);
	return kept;
}

static void camsim_finish_buffer(struct camsim *camsim, struct camsim_frame *frame,
				 enum camsim_node_id id, u32 payload, bool bad)
{
	struct camsim_queue *queue = &camsim->queues[id];
	struct vb2_v4l2_buffer *vb = &frame->buffers[id]->vb;
	u8 *data = vb2_plane_vaddr(&vb->vb2_buf, 0);

	/* A start that isn't through may yet fail: then userspace gets no buffer. */
	if (camsim_keep_buffer_if(camsim, frame, id, &queue->starting))
		return;

	payload = min(payload, queue->sizeimage);
	if (READ_ONCE(camsim->faults.residue) == CAMSIM_RESIDUE_ZERO)
		memset(data + payload, 0, queue->sizeimage - payload);
	vb2_set_plane_payload(&vb->vb2_buf, 0, payload);
	vb->vb2_buf.timestamp = frame->start_ns;
	vb->sequence = frame->sequence - queue->sequence_base;
	vb->field = V4L2_FIELD_NONE;
	frame->buffers[id] = NULL;
	vb2_buffer_done(&vb->vb2_buf, bad ? VB2_BUF_STATE_ERROR : VB2_BUF_STATE_DONE);

	spin_lock_irq(&camsim->queue_lock);
	queue->current_buffer = NULL;
	spin_unlock_irq(&camsim->queue_lock);
	wake_up_all(&camsim->wait);
	camsim->delivered++;
}

/* Nothing came: the buffer waits for the next frame, or goes back empty if there is none. */
static void camsim_keep_buffer(struct camsim *camsim, struct camsim_frame *frame,
			       enum camsim_node_id id)
{
	if (!camsim_keep_buffer_if(camsim, frame, id, &camsim->queues[id].streaming))
		camsim_finish_buffer(camsim, frame, id, 0, true);
}

static bool camsim_node_stopped(struct camsim *camsim, struct camsim_frame *frame,
				enum camsim_node_id id)
{
	return frame->buffers[id] && !READ_ONCE(camsim->queues[id].streaming);
}

/* A node that is stopped in the middle of a frame gets its buffer back, emptied, at once. */
static void camsim_drop_stopped(struct camsim *camsim, struct camsim_frame *frame)
{
	unsigned int i;

	for (i = 0; i < CAMSIM_NUM_NODES; i++)
		if (camsim_node_stopped(camsim, frame, i))
			camsim_finish_buffer(camsim, frame, i, 0, true);
}

/* -----------------------------------------------------------------------------
 * One frame
 */

/* What the receiver was set up for against what the registers send */
static void camsim_receive_check(struct camsim *camsim, struct camsim_frame *frame)
{
	const struct sensor_view *view = &frame->view;
	u32 short_lines = READ_ONCE(camsim->faults.short_lines);

	frame->lines = view->height + READ_ONCE(camsim->faults.long_lines);
	if (short_lines)
		frame->lines = min(frame->lines, short_lines);

	if (READ_ONCE(camsim->faults.truncate) && frame->lines) {
		camsim_rx_error(camsim, CAMSIM_RX_TRUNCATED);
		frame->bad = true;
		frame->lines = min(frame->lines, camsim->rx_height) - 1;
		frame->part = true;
	} else if (frame->lines < camsim->rx_height) {
		camsim_rx_error(camsim, CAMSIM_RX_SHORT);
		frame->bad = true;
	}
	if (frame->lines > camsim->rx_height) {
		camsim_rx_error(camsim, CAMSIM_RX_LONG);
		frame->bad = true;
		frame->lines = camsim->rx_height;
	}
	if (view->width != camsim->rx_width) {
		camsim_rx_error(camsim, CAMSIM_RX_LINE_LENGTH);
		frame->bad = true;
	}
	if (view->red_column != camsim->rx_format->red_column ||
	    view->red_line != camsim->rx_format->red_line) {
		camsim_rx_error(camsim, CAMSIM_RX_ORDER);
		frame->bad = true;
	}
	/* Packets of another type than it was told of are passed over. */
	if (view->bits != camsim->rx_format->bits) {
		camsim_rx_error(camsim, CAMSIM_RX_DATA_TYPE);
		frame->lines = 0;
		frame->part = false;
	}
	if (READ_ONCE(camsim->faults.lost_end)) {
		camsim_rx_error(camsim, CAMSIM_RX_NO_END);
		frame->bad = true;
		frame->lost_end = true;
	}
	if (READ_ONCE(camsim->faults.crc)) {
		camsim_rx_error(camsim, CAMSIM_RX_CRC);
		frame->bad = true;
		frame->crc = true;
	}
}

static void camsim_expose(struct camsim *camsim, struct camsim_frame *frame)
{
	struct camsim_shot shot = {
		.model = camsim->chip.model,
		.view = &frame->view,
		.exposure = frame->exposure,
		.gain = frame->gain,
	};
	u8 tag[CAMSIM_TAG_BYTES];
	u64 start = ktime_get_ns();

	shot.picture = camsim_scene_lock(camsim);
	camsim_stage_done(&camsim->scene_time, start);
	if (v4l2_ctrl_g_ctrl(camsim->pixel_tag)) {
		camsim_tag_make(tag, camsim->id, frame->number, frame->start_ns, shot.picture->id);
		shot.tag = tag;
	}
	start = ktime_get_ns();
	camsim_sense(camsim->tables, &shot, camsim->raw);
	camsim_stage_done(&camsim->sense_time, start);
	camsim_scene_unlock(camsim);

	/* A damaged line arrives damaged. */
	if (frame->crc)
		memset((u8 *)camsim->raw + frame->lines / 2 * camsim_raw_stride(&frame->view), 0x55,
		       64);
}

/* Eight of the ten bits that are computed */
static void camsim_pack_line(u8 *out, const u8 *raw, u32 pixels)
{
	u32 i;

	for (i = 0; i + 4 <= pixels; i += 4) {
		u64 four = get_unaligned_le64(raw + i * 2) >> 2 & 0x00ff00ff00ff00ff;

		four |= four >> 8;
		put_unaligned_le32((four & 0xffff) | (four >> 16 & 0xffff0000), out + i);
	}
	for (; i < pixels; i++)
		out[i] = get_unaligned_le16(raw + i * 2) >> 2;
}

static void camsim_fill_raw(struct camsim *camsim, struct camsim_frame *frame)
{
	struct camsim_queue *queue = &camsim->queues[CAMSIM_RAW];
	struct vb2_buffer *vb = &frame->buffers[CAMSIM_RAW]->vb.vb2_buf;
	u32 sent = frame->view.width / 2 * 2 * camsim->rx_format->bytes;
	u32 got = min(sent, queue->bytesperline);
	u64 start = ktime_get_ns();
	u8 *data = vb2_plane_vaddr(vb, 0);
	u32 line;

	for (line = 0; line < frame->lines + frame->part; line++) {
		const u8 *raw = (const u8 *)camsim->raw + line * camsim_raw_stride(&frame->view);

		if (camsim->rx_format->bytes == 1)
			camsim_pack_line(data, raw, got);
		else
			memcpy(data, raw, got);
		memset(data + got, 0, queue->bytesperline - got);
		data += queue->bytesperline;
	}
	camsim_stage_done(&camsim->copy_time, start);
}

static void camsim_fill_nv12(struct camsim *camsim, struct camsim_frame *frame)
{
	struct camsim_queue *queue = &camsim->queues[CAMSIM_NV12];
	struct vb2_buffer *vb = &frame->buffers[CAMSIM_NV12]->vb.vb2_buf;
	u8 *data = vb2_plane_vaddr(vb, 0);
	u64 start = ktime_get_ns();

	camsim_isp_frame(camsim->tables, camsim->rx_format, camsim->raw, queue->width,
			 queue->height, frame->lines, data, data + queue->width * queue->height);
	camsim_stage_done(&camsim->isp_time, start);
}

/* The ISP takes no line that isn't as long as it was told. */
static bool camsim_isp_takes(struct camsim *camsim, const struct camsim_frame *frame)
{
	return frame->view.width == camsim->queues[CAMSIM_NV12].width;
}

/*
 * Bytes of a buffer that were received, from its start. Of a short NV12 frame only whole luma
 * lines count, its chroma is further on than what is missing.
 */
static u32 camsim_payload(struct camsim *camsim, const struct camsim_frame *frame,
			  enum camsim_node_id id)
{
	struct camsim_queue *queue = &camsim->queues[id];

	if (id == CAMSIM_RAW)
		return frame->lines * queue->bytesperline +
		       (frame->part ? queue->bytesperline / 2 : 0);
	if (!camsim_isp_takes(camsim, frame))
		return 0;
	if (frame->lines >= queue->height)
		return queue->sizeimage;
	return round_down(frame->lines, 2) * queue->bytesperline;
}

static void camsim_finish_frame(struct camsim *camsim, struct camsim_frame *frame)
{
	unsigned int i;
	u32 payload;

	for (i = 0; i < CAMSIM_NUM_NODES; i++) {
		if (!frame->buffers[i])
			continue;
		payload = camsim_payload(camsim, frame, i);
		if (payload)
			camsim_finish_buffer(camsim, frame, i, payload, frame->bad);
		else
			camsim_keep_buffer(camsim, frame, i);
	}
}

/* Waits for a time; false if the sensor stopped or the receiver is to stop before. */
static bool camsim_wait_until(struct camsim *camsim, struct camsim_frame *frame, u64 until)
{
	unsigned int i;
	bool stop;
	s64 left;

	for (;;) {
		left = until - ktime_get_ns();
		if (left <= 0)
			return true;

		wait_event_interruptible_hrtimeout(camsim->wait,
						   kthread_should_stop() ||
						   !camsim_sensor_streams(camsim) ||
						   camsim_node_stopped(camsim, frame, CAMSIM_RAW) ||
						   camsim_node_stopped(camsim, frame, CAMSIM_NV12),
						   ns_to_ktime(left));
		stop = kthread_should_stop() || !camsim_sensor_streams(camsim);
		if (stop)
			return false;
		for (i = 0; i < CAMSIM_NUM_NODES; i++)
			if (camsim_node_stopped(camsim, frame, i))
				camsim_drop_stopped(camsim, frame);
	}
}

/* A sensor that stops in the middle of a frame has sent the lines up to there. */
static void camsim_cut_frame(struct camsim *camsim, struct camsim_frame *frame)
{
	u64 elapsed = ktime_get_ns() - frame->start_ns;
	u32 lines = div64_u64(elapsed * frame->view.height, frame->view.readout_ns);

	if (lines >= frame->lines || !(frame->buffers[CAMSIM_RAW] || frame->buffers[CAMSIM_NV12]))
		return;
	frame->lines = lines;
	frame->part = false;
	frame->bad = true;
	camsim_rx_error(camsim, CAMSIM_RX_SHORT);
}

static void camsim_run_frame(struct camsim *camsim, struct camsim_frame *frame)
{
	bool wanted = false, whole;
	unsigned int i;

	camsim_receive_check(camsim, frame);
	if (camsim_fault_drops(camsim))
		return;
	for (i = 0; i < CAMSIM_NUM_NODES; i++) {
		frame->buffers[i] = camsim_take_buffer(camsim, &camsim->queues[i],
						       frame->sequence);
		if (frame->buffers[i])
			wanted = true;
	}
	if (!wanted) {
		camsim->unwanted++;
		return;
	}
	if (camsim_fault_take(camsim, &camsim->faults.buf_error))
		frame->bad = true;

	camsim_expose(camsim, frame);
	if (frame->buffers[CAMSIM_RAW])
		camsim_fill_raw(camsim, frame);
	if (frame->buffers[CAMSIM_NV12] && camsim_isp_takes(camsim, frame))
		camsim_fill_nv12(camsim, frame);

	/* Where its end is lost, the start of the next says that a frame is over. */
	whole = camsim_wait_until(camsim, frame, frame->start_ns +
				  (frame->lost_end ? frame->view.frame_ns :
				   frame->view.readout_ns));
	camsim_drop_stopped(camsim, frame);
	if (!whole)
		camsim_cut_frame(camsim, frame);
	camsim_finish_frame(camsim, frame);
}

/* -----------------------------------------------------------------------------
 * The thread
 */

static void camsim_send_frame_sync(struct camsim *camsim, u32 sequence)
{
	struct v4l2_event event = {
		.type = V4L2_EVENT_FRAME_SYNC,
		.u.frame_sync.frame_sequence = sequence,
	};

	v4l2_event_queue(camsim->csi.devnode, &event);
}

/*
 * A frame starts if the sensor streams at that moment. One that was stopped may have lost its power
 * by now, and with it the registers that say what a frame is.
 */
static bool camsim_start_frame(struct camsim *camsim, struct sensor_view *view)
{
	bool streams;

	spin_lock_irq(&camsim->lock);
	streams = sensor_streaming(&camsim->chip);
	if (streams)
		sensor_view_get(&camsim->chip, view);
	spin_unlock_irq(&camsim->lock);
	camsim_report_errors(camsim);
	return streams;
}

/* A receiver that doesn't see a frame's start doesn't count it, and passes its lines over. */
static bool camsim_frame_arrives(struct camsim *camsim)
{
	if (READ_ONCE(camsim->faults.no_signal))
		return false;
	if (!READ_ONCE(camsim->faults.lost_start))
		return true;
	camsim_rx_error(camsim, CAMSIM_RX_NO_START);
	return false;
}

/* Frames from the first after the sensor was started to the one in which it stops */
static void camsim_run_stream(struct camsim *camsim)
{
	struct camsim_frame frame = {};
	u32 exposure = 0, gain = 0;
	u64 start = ktime_get_ns();
	bool first = true;
	u32 missed;

	do {
		frame = (struct camsim_frame) { .start_ns = start, .sequence = camsim->sequence };
		if (!camsim_start_frame(camsim, &frame.view))
			return;

		/* [V] what is written in one frame is seen in the next but one */
		frame.exposure = first ? frame.view.exposure : exposure;
		frame.gain = first ? frame.view.gain : gain;
		exposure = frame.view.exposure;
		gain = frame.view.gain;
		first = false;

		frame.number = ++camsim->sensed;
		if (camsim_frame_arrives(camsim)) {
			camsim->sequence++;
			camsim_send_frame_sync(camsim, frame.sequence);
			camsim_run_frame(camsim, &frame);
		}

		/* Too slow a machine loses frames, and their numbers say so. */
		start += frame.view.frame_ns;
		if (ktime_get_ns() > start + frame.view.frame_ns / 2) {
			missed = div64_u64(ktime_get_ns() - start, frame.view.frame_ns) + 1;
			start += missed * frame.view.frame_ns;
			camsim->sequence += missed;
			camsim->sensed += missed;
			camsim->late += missed;
		}
	} while (camsim_wait_until(camsim, &frame, start));
}

static int camsim_thread(void *data)
{
	struct camsim *camsim = data;

	while (!kthread_should_stop()) {
		wait_event_interruptible(camsim->wait, kthread_should_stop() ||
					 camsim_sensor_streams(camsim));
		if (!kthread_should_stop())
			camsim_run_stream(camsim);
	}
	return 0;
}

int camsim_stream_start(struct camsim *camsim)
{
	struct task_struct *thread;

	thread = kthread_run(camsim_thread, camsim, "camsim%u", camsim->id);
	if (IS_ERR(thread))
		return PTR_ERR(thread);
	camsim->thread = thread;
	return 0;
}

void camsim_stream_stop(struct camsim *camsim)
{
	/* It did not come back from the system's sleep. */
	if (!camsim->thread)
		return;
	kthread_stop(camsim->thread);
	camsim->thread = NULL;
	camsim->sequence = 0;
}
