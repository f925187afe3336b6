/* cut: the power of a file system's disk goes: cut FOLDER. What is not on the disk at this moment,
 * of data and of the journal, never gets there; every later write is EIO (FS_IOC_SHUTDOWN, ext4 and
 * xfs). */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SHUTDOWN     _IOR('X', 125, uint32_t)
#define NO_LOG_FLUSH 2u

int main(int argc, char **argv)
{
	uint32_t how = NO_LOG_FLUSH;
	int fd = argc == 2 ? open(argv[1], O_RDONLY | O_DIRECTORY) : -1;

	if (fd < 0 || ioctl(fd, SHUTDOWN, &how) < 0) {
		perror(argc == 2 ? argv[1] : "cut FOLDER");
		return 1;
	}
	return 0;
}
