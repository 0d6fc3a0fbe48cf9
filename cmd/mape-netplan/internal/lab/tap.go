package lab

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// openTap makes a tap (or tun) device inside the namespace and returns its
// descriptor, which works outside of it too. The device lives as long as the
// descriptor. It has no virtio header, therefore no offloads: every packet on
// it is a whole packet with its checksums, as on a wire.
func (ns *Namespace) openTap(name string, mode uint16) (*os.File, error) {
	ifreq, err := unix.NewIfreq(name)
	if err != nil {
		return nil, err
	}
	ifreq.SetUint16(mode | unix.IFF_NO_PI)
	fd := -1
	// The device belongs to the namespace in which the file is opened.
	err = ns.Do(func() (err error) {
		if fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0); err != nil {
			return err
		}
		return unix.IoctlIfreq(fd, unix.TUNSETIFF, ifreq)
	})
	if err != nil {
		if fd >= 0 {
			unix.Close(fd)
		}
		return nil, fmt.Errorf("tap %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}
