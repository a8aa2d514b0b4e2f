// SPDX-License-Identifier: MIT
/* NV12 to H.264 by OpenH264; see h264.h. */
#include "h264.h"

#include <string.h>
#include <wels/codec_api.h>

#include "encoder.h"
#include "error.h"

/* What the rate control starts from where nobody says; it then goes by the time stamps. */
#define RATE_UNKNOWN	30

struct h264 {
	struct h264_config config;
	ISVCEncoder *codec;
	gboolean open;
	gsize luma;
	guint8 *u, *v;
	guint8 *out;
	gsize out_size;
};

static void set_picture(SSpatialLayerConfig *layer, const struct h264_config *config)
{
	layer->iVideoWidth = (int)config->width;
	layer->iVideoHeight = (int)config->height;
	layer->iSpatialBitrate = (int)config->bitrate_kbit * 1000;
	layer->iMaxSpatialBitrate = UNSPECIFIED_BIT_RATE;
	layer->uiProfileIdc = PRO_BASELINE;
	/* One slice: a lost part of a picture is a lost picture anyway. */
	layer->sSliceArgument.uiSliceMode = SM_SINGLE_SLICE;
	/* As the JPEG has it: full range, sRGB's primaries and transfer, BT.601's matrix. */
	layer->bVideoSignalTypePresent = true;
	layer->uiVideoFormat = VF_UNDEF;
	layer->bFullRange = true;
	layer->bColorDescriptionPresent = true;
	layer->uiColorPrimaries = CP_BT709;
	layer->uiTransferCharacteristics = TRC_IEC61966_2_1;
	layer->uiColorMatrix = CM_SMPTE170M;
}

static gboolean open_codec(struct h264 *h, GError **error)
{
	const struct h264_config *config = &h->config;
	SEncParamExt param;
	int format = videoFormatI420, ret;

	(*h->codec)->GetDefaultParams(h->codec, &param);
	param.iUsageType = CAMERA_VIDEO_REAL_TIME;
	param.iPicWidth = (int)config->width;
	param.iPicHeight = (int)config->height;
	param.iTargetBitrate = (int)config->bitrate_kbit * 1000;
	param.iMaxBitrate = UNSPECIFIED_BIT_RATE;
	param.fMaxFrameRate = (float)(config->rate ? config->rate : RATE_UNKNOWN);
	param.iRCMode = RC_TIMESTAMP_MODE;
	param.bEnableFrameSkip = false;
	param.iComplexityMode = LOW_COMPLEXITY;
	param.iTemporalLayerNum = 1;
	param.iSpatialLayerNum = 1;
	param.iNumRefFrame = 1;
	param.uiIntraPeriod = 0;		/* key frames come when they are asked for */
	param.bEnableSceneChangeDetect = false;
	param.eSpsPpsIdStrategy = CONSTANT_ID;
	param.iEntropyCodingModeFlag = 0;
	param.bEnableLongTermReference = false;
	param.iMultipleThreadIdc = 1;		/* a thread couldn't be made in the sandbox */
	set_picture(&param.sSpatialLayers[0], config);
	param.sSpatialLayers[0].fFrameRate = param.fMaxFrameRate;
	ret = (*h->codec)->InitializeExt(h->codec, &param);
	if (ret)
		return cam_error(error, 0, "H.264: OpenH264 refuses %ux%u at %u kbit/s (%d)",
				 config->width, config->height, config->bitrate_kbit, ret);
	h->open = TRUE;
	(*h->codec)->SetOption(h->codec, ENCODER_OPTION_DATAFORMAT, &format);
	return TRUE;
}

struct h264 *h264_new(const struct h264_config *config, GError **error)
{
	struct h264 *h = g_new0(struct h264, 1);
	int quiet = WELS_LOG_QUIET;

	h->config = *config;
	h->luma = (gsize)config->width * config->height;
	h->u = g_malloc0(h->luma / 4);
	h->v = g_malloc0(h->luma / 4);
	/* OpenH264's own bound is less than twice the picture. */
	h->out_size = h->luma * 3 + 4096;
	h->out = g_malloc0(h->out_size);
	if (WelsCreateSVCEncoder(&h->codec) || !h->codec) {
		cam_error(error, 0, "H.264: OpenH264 gives no encoder");
		h264_free(h);
		return NULL;
	}
	(*h->codec)->SetOption(h->codec, ENCODER_OPTION_TRACE_LEVEL, &quiet);
	if (!open_codec(h, error)) {
		h264_free(h);
		return NULL;
	}
	return h;
}

void h264_forget(struct h264 *h)
{
	if (!h->open)
		return;
	(*h->codec)->Uninitialize(h->codec);
	h->open = FALSE;
	memset(h->u, 0, h->luma / 4);
	memset(h->v, 0, h->luma / 4);
	memset(h->out, 0, h->out_size);
}

void h264_free(struct h264 *h)
{
	if (!h)
		return;
	if (h->open)
		h264_forget(h);
	if (h->codec)
		WelsDestroySVCEncoder(h->codec);
	g_free(h->u);
	g_free(h->v);
	g_free(h->out);
	g_free(h);
}

/* All that the encoder has made, in order. */
static gsize gather(const SFrameBSInfo *info, guint8 *out, gsize size)
{
	gsize length = 0;
	int i, j;

	for (i = 0; i < info->iLayerNum; i++) {
		const SLayerBSInfo *layer = &info->sLayerInfo[i];
		gsize n = 0;

		for (j = 0; j < layer->iNalCount; j++)
			n += (gsize)layer->pNalLengthInByte[j];
		if (n > size - length)
			return 0;
		memcpy(out + length, layer->pBsBuf, n);
		length += n;
	}
	return length;
}

guint h264_parameters(struct h264 *h, guint8 *out, guint size)
{
	SFrameBSInfo info = { 0 };

	if (!h->open || (*h->codec)->EncodeParameterSets(h->codec, &info))
		return 0;
	return (guint)gather(&info, out, size);
}

gboolean h264_nv12(struct h264 *h, const guint8 *y, const guint8 *uv, gsize stride,
		   guint64 captured_ns, gboolean *key, const guint8 **data, gsize *length,
		   GError **error)
{
	guint columns = h->config.width / 2, rows = h->config.height / 2, row;
	SSourcePicture picture = {
		.iColorFormat = videoFormatI420,
		.iStride = { (int)stride, (int)columns, (int)columns },
		.pData = { (guint8 *)y, h->u, h->v },
		.iPicWidth = (int)h->config.width, .iPicHeight = (int)h->config.height,
		.uiTimeStamp = (long long)(captured_ns / 1000000),
	};
	SFrameBSInfo info = { 0 };
	int ret;

	if (!h->open && !open_codec(h, error))
		return FALSE;
	for (row = 0; row < rows; row++)
		encoder_split_chroma(uv + row * stride, h->u + (gsize)row * columns,
				     h->v + (gsize)row * columns, columns);
	if (*key)
		(*h->codec)->ForceIntraFrame(h->codec, true);
	ret = (*h->codec)->EncodeFrame(h->codec, &picture, &info);
	*length = ret ? 0 : gather(&info, h->out, h->out_size);
	if (!*length)
		return cam_error(error, 0, "H.264: OpenH264 gives no frame (%d, type %d)", ret,
				 info.eFrameType);
	*key = info.eFrameType == videoFrameTypeIDR;
	*data = h->out;
	return TRUE;
}
