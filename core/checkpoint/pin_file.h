/* pin_file.h: the file of a pin, which tells its height while one half of it is whole.
 *
 *     STORE/networks/NAME/pins/PIN    two halves that say the same, each
 *         height (20 digits) SP sum (16 hex digits) NL    the line
 *         spaces up to 4,095 bytes, NL                    so that each has a sector of its own
 *
 * The sum is the beginning of the BLAKE3 of "chainfs pin 1\n", the pin's name, "\n" and the
 * height's digits. A line that fits its sum tells the height, whatever surrounds it. An older
 * program wrote the digits and a newline alone, which no sum covers.
 *
 * The file's modification time is when the pin was made, and stays when it is written anew.
 * Threads  any. Writing to a file that somebody takes away meanwhile brings nothing back. */
#ifndef CHAINFS_CHECKPOINT_PIN_FILE_H
#define CHAINFS_CHECKPOINT_PIN_FILE_H

#include "core/base/bytes.h"
#include "core/base/err.h"

#define PIN_HALF_SIZE 4096
#define PIN_FILE_SIZE (2 * PIN_HALF_SIZE)

enum pin_file {
	PIN_FILE_WHOLE, /* byte for byte what would be written */
	PIN_FILE_OLD,   /* of an older program */
	PIN_FILE_HURT,  /* something is damaged; what is whole tells the height */
};

void pin_file_text(const char *name, uint64_t height, uint8_t out[PIN_FILE_SIZE]);
/* A descriptor, to read or to mend; -EBADMSG for what is no plain file. */
int pin_file_open(int folder, const char *name, bool mend, struct err *err) MUST_CHECK;
/* An enum pin_file; -EBADMSG: nothing tells a height, or the halves tell two. */
int pin_file_read(int fd, const char *name, uint64_t *height, struct err *err) MUST_CHECK;
/* Writes in place what differs from how a pin of this height is written. A half that is whole is
 * not touched before the other one is on the disk. */
int pin_file_mend(int fd, const char *name, uint64_t height, struct err *err) MUST_CHECK;

#endif
