#include "core/base/err.h"

#include <stdarg.h>
#include <stdio.h>

/* The text ends whole: a cut never leaves half a UTF-8 character behind. */
static void cut(struct err *err, int wanted)
{
	size_t n = ERR_TEXT_SIZE - 1, lead = n;

	if (wanted >= 0 && (size_t)wanted < ERR_TEXT_SIZE)
		return;
	while (lead > 0 && n - lead < 4 && ((uint8_t)err->text[lead - 1] & 0xc0) == 0x80)
		lead--;
	if (lead == 0 || !((uint8_t)err->text[lead - 1] & 0x80))
		return;
	uint8_t first = (uint8_t)err->text[lead - 1];
	size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;

	if (lead - 1 + size > n)
		err->text[lead - 1] = '\0';
}

int err_set(struct err *err, int code, const char *format, ...)
{
	va_list args;

	assert(code < 0);
	if (!err)
		return code;
	/* The old sentence may be among the arguments, so the new one is not written over it. */
	char text[ERR_TEXT_SIZE];

	va_start(args, format);
	int wanted = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	memcpy(err->text, text, sizeof text);
	cut(err, wanted);
	return code;
}

int err_note(struct err *err, int code, const char *format, ...)
{
	char text[ERR_TEXT_SIZE];
	va_list args;

	assert(code < 0);
	if (!err)
		return code;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);

	const char *inner = err_text(err, code);
	char whole[2 * ERR_TEXT_SIZE + 2];
	int wanted = snprintf(whole, sizeof whole, "%s: %s", text, inner);

	memcpy(err->text, whole, ERR_TEXT_SIZE - 1);
	err->text[ERR_TEXT_SIZE - 1] = '\0';
	cut(err, wanted);
	return code;
}

const char *err_text(const struct err *err, int code)
{
	if (err && err->text[0])
		return err->text;
	/* strerrordesc_np() is a constant table: no buffer, any thread. */
	const char *text = strerrordesc_np(code < 0 ? -code : code);

	return text ? text : "unknown error";
}
