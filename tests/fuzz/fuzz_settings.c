/* A file of settings: what is read is in range and reads back as its canonical text; what is not
 * has a sentence with a line. */
#include "core/control/settings.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(settings_freep) struct settings *s = NULL;
	struct err err = ERR_INIT;
	if (size > SETTINGS_SIZE_MAX)
		return 0;
	int rc = settings_read(SLICE(data, size), "f", &s, &err);
	if (rc < 0) {
		assert(rc == -EINVAL && !s && strncmp(err.text, "f:", 2) == 0);
		return 0;
	}
	for (enum setting_id id = 0; id < SETTING_COUNT; id++) {
		AUTO(settings_freep) struct settings *again = NULL;
		char set[160];
		const char *const sets[] = { set, NULL };
		snprintf(set, sizeof set, "%s=%s", setting_rows[id].key, settings_text(s, id));
		rc = settings_load(&(struct settings_sources){ .sets = sets }, &again, &err);
		assert(rc == 0 && settings_number(again, id) == settings_number(s, id));
		assert(strcmp(settings_text(again, id), settings_text(s, id)) == 0);
	}
	return 0;
}
