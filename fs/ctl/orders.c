/* What is written: orders, and names that come and go by them alone. */
#include "fs/ctl/inside.h"

#include <stdio.h>

void ctl_on_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
		  struct fuse_file_info *fi)
{
	struct ctl *c = fuse_req_userdata(req);
	int rc = ctl_rows[ctl_row_of(ino)].kind != SETTABLE || !ctl_is_owner(req, c)
			 ? -EACCES
			 : orders_write(c->orders, ctl_rows[ctl_row_of(ino)].order,
					SLICE(bytes, size));

	if (rc < 0)
		fuse_reply_err(req, -rc);
	else
		fuse_reply_write(req, size);
}

/* Cutting an order's file is how a shell begins to write it, and changes nothing; nothing else can
 * be set. */
void ctl_on_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *wanted, int to_set,
		    struct fuse_file_info *fi)
{
	struct ctl *c = fuse_req_userdata(req);
	int others = to_set & ~(FUSE_SET_ATTR_SIZE | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_CTIME |
				FUSE_SET_ATTR_MTIME_NOW);

	if (others || !(to_set & FUSE_SET_ATTR_SIZE) || ctl_row_of(ino) >= ROW_END ||
	    ctl_rows[ctl_row_of(ino)].kind != SETTABLE)
		fuse_reply_err(req, EPERM);
	else if (!ctl_is_owner(req, c))
		fuse_reply_err(req, EACCES);
	else
		ctl_on_getattr(req, ino, fi);
}

void ctl_on_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct ctl *c = fuse_req_userdata(req);
	int rc = ctl_row_of(parent) != ROW_PINS ? -EPERM
		 : !ctl_is_owner(req, c)        ? -EACCES
						: orders_pin(c->orders, name);
	char listed[ORDER_PIN_NAME_SIZE];

	if (rc < 0) {
		fuse_reply_err(req, -rc);
		return;
	}
	/* Its name has no life: with a height behind it it is listed under another one. */
	snprintf(listed, sizeof listed, "%.*s", (int)strcspn(name, "@"), name);
	ctl_reply_child(req, parent, listed);
}

void ctl_on_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct ctl *c = fuse_req_userdata(req);
	struct network *n;
	struct pin pin;
	int rc = ctl_row_of(parent) != ROW_PINS ? -EPERM
		 : !ctl_is_owner(req, c)        ? -EACCES
						: orders_pin_find(c->orders, name, &n, &pin);

	if (rc == 0)
		rc = orders_unpin(c->orders, name);
	if (rc == 0)
		ctl_pin_retire(c, n, pin.name);
	fuse_reply_err(req, -rc);
}

/* Names come and go by orders alone. */

void ctl_on_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev)
{
	fuse_reply_err(req, EPERM);
}

void ctl_on_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		   struct fuse_file_info *fi)
{
	fuse_reply_err(req, EPERM);
}

void ctl_on_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	fuse_reply_err(req, EPERM);
}

void ctl_on_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	fuse_reply_err(req, EPERM);
}

void ctl_on_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t to_parent,
		   const char *to_name, unsigned flags)
{
	fuse_reply_err(req, EPERM);
}

void ctl_on_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	fuse_reply_err(req, EPERM);
}

void ctl_on_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
		     size_t size, int flags)
{
	fuse_reply_err(req, EOPNOTSUPP);
}

void ctl_on_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	fuse_reply_err(req, EOPNOTSUPP);
}

void ctl_on_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	fuse_reply_err(req, EOPNOTSUPP);
}
