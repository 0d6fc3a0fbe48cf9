package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// MostBytes bounds everything that is read. The facts of a machine with 5,000 foreign firewall rules have a few million.
const MostBytes = 10 << 20

// ErrNotRegular is wrapped by the error of a file that is not read: a directory, FIFO, socket or device.
var ErrNotRegular = errors.New("it must be a regular file")

// ReadFile reads a file of the machine as a process with that root directory finds it: no link leads out of an image. The
// error does not name the file. Files of /proc and /sys are read without it: the kernel writes them at once, some of them
// for the calling thread.
//
// Another program's file must not keep the guard from the boot: only a regular one of at most MostBytes is read.
func (h *Host) ReadFile(p string) ([]byte, error) {
	return readRegular(func(flags uint64) (*os.File, error) { return h.open(Local(p), flags) })
}

// Inherited reports whether a path is one of a file that the program was started with, such as a shell's <(…).
func Inherited(name string) bool {
	return name == "/dev/stdin" || strings.HasPrefix(name, "/dev/fd/") || strings.HasPrefix(name, "/proc/self/fd/")
}

// ReadNamed is ReadFile for a file that the command line names. An inherited one may be a pipe.
func ReadNamed(ctx context.Context, name string) ([]byte, error) {
	if Inherited(name) {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		return ReadStream(ctx, f)
	}
	return readRegular(func(flags uint64) (*os.File, error) { return openat(unix.AT_FDCWD, name, flags, 0) })
}

// ReadStream reads at most MostBytes, until the stream ends or ctx does. It reads in the background: a signal that the
// program handles does not interrupt a read.
func ReadStream(ctx context.Context, in io.Reader) ([]byte, error) {
	type content struct {
		data []byte
		err  error
	}
	done := make(chan content, 1)
	go func() {
		data, err := readAll(in)
		done <- content{data, err}
	}()
	select {
	case c := <-done:
		return c.data, c.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

var errTooLarge = fmt.Errorf("is larger than %d MiB", MostBytes>>20)

func readAll(in io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(in, MostBytes+1))
	if err == nil && len(data) > MostBytes {
		err = errTooLarge
	}
	return data, err
}

// readRegular looks at the file before it opens it: opening a device may have an effect, and opening a FIFO waits for a
// writer.
func readRegular(open func(flags uint64) (*os.File, error)) ([]byte, error) {
	found, err := open(unix.O_PATH)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	if err := checkRegular(found); err != nil {
		return nil, err
	}
	f, err := open(unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := checkRegular(f); err != nil { // another one by now
		return nil, err
	}
	// Only a file that the kernel fills, such as /proc/kmsg, can be waited for.
	_ = f.SetReadDeadline(time.Now().Add(patience))
	return readAll(f)
}

// kinds are what is not read.
var kinds = map[fs.FileMode]string{
	fs.ModeDir: "directory", fs.ModeNamedPipe: "FIFO", fs.ModeSocket: "socket",
	fs.ModeDevice: "device", fs.ModeDevice | fs.ModeCharDevice: "device",
}

func checkRegular(f *os.File) error {
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("is a %s; %w", kinds[info.Mode().Type()], ErrNotRegular)
	case info.Size() > MostBytes:
		return errTooLarge
	}
	return nil
}

// open opens a file below the root, which it cannot leave.
func (h *Host) open(name string, flags uint64) (*os.File, error) {
	root, err := h.Root.Open(".")
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if h.Root.Name() == "/" {
		return openat(int(root.Fd()), name, flags, 0)
	}
	return openat(int(root.Fd()), name, flags, unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_MAGICLINKS)
}

// openat is openat2(2) (Linux 5.6) where a resolve flag needs it: it fails with EAGAIN where a directory is renamed
// meanwhile, and with ENOSYS in a unit that has RestrictSUIDSGID=.
func openat(dir int, name string, flags, resolve uint64) (*os.File, error) {
	for range 100 {
		fd, err := -1, error(nil)
		if resolve == 0 {
			fd, err = unix.Openat(dir, name, int(flags)|unix.O_CLOEXEC, 0)
		} else {
			fd, err = unix.Openat2(dir, name, &unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: resolve})
		}
		if err == nil {
			return os.NewFile(uintptr(fd), name), nil
		}
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) {
			return nil, err
		}
	}
	return nil, unix.EAGAIN
}

// ReadDir lists a directory of the machine, as ReadFile finds it.
func (h *Host) ReadDir(p string) ([]fs.DirEntry, error) { return fs.ReadDir(rooted{h}, Local(p)) }

// Glob lists the absolute paths that match a pattern. Its directory need not exist.
func (h *Host) Glob(pattern string) ([]string, error) {
	names, err := fs.Glob(rooted{h}, Local(pattern))
	for i := range names {
		names[i] = path.Join("/", names[i])
	}
	return names, err
}

// rooted are the directories of a machine.
type rooted struct{ h *Host }

func (r rooted) Open(name string) (fs.File, error) { return r.h.open(name, unix.O_DIRECTORY) }

func (r rooted) Stat(name string) (fs.FileInfo, error) {
	f, err := r.h.open(name, unix.O_PATH)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Stat()
}
