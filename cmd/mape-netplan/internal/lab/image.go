package lab

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

//go:embed image.sh
var imageScript []byte

// Image is a Debian to boot: three files in the cache, read only.
type Image struct {
	Release              string
	Kernel, Initrd, Disk string
}

// BuildImage returns the image of a Debian release ("bookworm", "forky"),
// building it in a bit more than a minute unless the cache has it. The cache is
// $MAPE_VM_CACHE, else mape-netplan in the user's cache directory. An image is
// named by the hash of what it is made from, so a changed script makes a new
// one; newer packages in Debian do not.
func BuildImage(ctx context.Context, release string) (Image, error) {
	cache, err := cacheDir()
	if err != nil {
		return Image{}, err
	}
	sum := sha256.Sum256(append([]byte(release+"\n"), imageScript...))
	dir := filepath.Join(cache, fmt.Sprintf("%s-%x", release, sum[:8]))
	image := Image{
		Release: release,
		Kernel:  filepath.Join(dir, "kernel"),
		Initrd:  filepath.Join(dir, "initrd"),
		Disk:    filepath.Join(dir, "disk"),
	}
	if _, err := os.Stat(dir); err == nil {
		return image, nil
	}
	if err := build(ctx, release, dir); err != nil {
		return Image{}, fmt.Errorf("image of Debian %s: %w", release, err)
	}
	return image, nil
}

func cacheDir() (string, error) {
	if dir := os.Getenv("MAPE_VM_CACHE"); dir != "" {
		return dir, os.MkdirAll(dir, 0o755)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no place to keep images, set MAPE_VM_CACHE: %w", err)
	}
	dir = filepath.Join(dir, "mape-netplan")
	return dir, os.MkdirAll(dir, 0o755)
}

// build makes the image beside dir and renames it, so that dir is complete or
// not there. Two builders may race; the second finds dir taken, which is as good.
func build(ctx context.Context, release, dir string) error {
	temp, err := os.MkdirTemp(filepath.Dir(dir), "building-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	// mmdebstrap's helpers enter the tree with other users.
	if err := os.Chmod(temp, 0o755); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", string(imageScript), "image.sh", release, mirror(ctx), temp)
	// A cancel must reach mmdebstrap itself, which then unmounts what it has mounted.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, tail(string(out), 40))
	}
	if err := os.Rename(temp, dir); err != nil && !errors.Is(err, os.ErrExist) && !errors.Is(err, syscall.ENOTEMPTY) {
		return err
	}
	return nil
}

// mirror is the Debian mirror that this machine uses itself.
func mirror(ctx context.Context) string {
	out, _ := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages").Output()
	for site := range strings.Lines(string(out)) {
		site = strings.TrimRight(strings.TrimSpace(site), "/")
		if strings.HasSuffix(site, "/debian") {
			return site
		}
	}
	return "http://deb.debian.org/debian"
}

// tail is the last n lines of a text.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
