package cloudinit_test

import (
	"encoding/binary"
	"os"
	"strings"
	"syscall"
	"testing"

	"mape-netplan/cloudinit"
)

// TestTrustedDirectories: only root may put another program in the place of the one that root runs at every boot,
// neither where it is nor where a link to it, or to a directory on its path, is.
func TestTrustedDirectories(t *testing.T) {
	needRoot(t)
	// Not below /tmp, which is refused before.
	dir, err := os.MkdirTemp("/var/lib", "mape-test-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, made := range []string{"/a/b", "/links"} {
		if err := os.MkdirAll(dir+made, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(dir+"/a/b/m", nil, 0o755); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"/links/m": "../a/b/m", "/links/dir": dir + "/a/b"} {
		if err := os.Symlink(to, dir+link); err != nil {
			t.Fatal(err)
		}
	}
	const staff = 50
	for _, test := range []struct {
		program      string
		at           string // the directory that is odd
		mode         os.FileMode
		owner, group int
		want         string // "" is trusted
	}{
		{"/a/b/m", "/a/b", 0o755, 0, 0, ""},
		{"/a/b/m", "/a/b", 0o775, 0, 0, ""},
		{"/a/b/m", "/a/b", os.ModeSetgid | 0o775, 0, staff, ""},
		{"/a/b/m", "/a/b", 0o755, 0, 65534, ""},
		{"/a/b/m", "/a/b", 0o775, 0, 65534, "the directory DIR/a/b must be writable only by its owner; sudo chmod go-w DIR/a/b, or install it elsewhere: sudo install -m 755 DIR/a/b/m /usr/local/bin/mape-netplan, and run that"},
		{"/a/b/m", "/a", 0o777, 0, 0, "the directory DIR/a must be writable only by its owner; sudo chmod go-w DIR/a, or"},
		{"/a/b/m", "/a", 0o755, 65534, 0, "the directory DIR/a must belong to root, not to user 65534; install it elsewhere: "},
		{"/links/m", "/links", 0o777, 0, 0, "the directory DIR/links must be writable only by its owner; "},
		{"/links/m", "/a", 0o777, 0, 0, "the directory DIR/a must be writable only by its owner; "},
		{"/links/dir/m", "/links", 0o777, 0, 0, "the directory DIR/links must be writable only by its owner; "},
		{"/links/dir/m", "/a/b", 0o777, 0, 0, "the directory DIR/a/b must be writable only by its owner; "},
	} {
		set := func(mode os.FileMode, owner, group int) {
			t.Helper()
			if err := os.Chown(dir+test.at, owner, group); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(dir+test.at, mode); err != nil {
				t.Fatal(err)
			}
		}
		set(test.mode, test.owner, test.group)
		_, err := cloudinit.Program(dir+test.program, "")
		want := strings.ReplaceAll(test.want, "DIR", dir)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s, %s of mode %v and %d:%d: %v", test.program, test.at, test.mode, test.owner, test.group, err)
		}
		set(0o755, 0, 0)
	}
}

// TestTrustedACL: the list of a directory may let others write where the mode speaks of root and of a group that is
// trusted.
func TestTrustedACL(t *testing.T) {
	needRoot(t)
	dir, err := os.MkdirTemp("/var/lib", "mape-test-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program := dir + "/m"
	if err := os.WriteFile(program, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	const ( // acl(5), as the kernel's linux/posix_acl_xattr.h has it
		userObj, user, groupObj, mask, other = 0x01, 0x02, 0x04, 0x10, 0x20
		rx, rwx                              = 5, 7
	)
	list := func(file string, most uint16) {
		t.Helper()
		data := binary.LittleEndian.AppendUint32(nil, 2)
		for _, entry := range [][2]uint16{{userObj, rwx}, {user, rwx}, {groupObj, rx}, {mask, most}, {other, rx}} {
			data = binary.LittleEndian.AppendUint16(data, entry[0])
			data = binary.LittleEndian.AppendUint16(data, entry[1])
			id := ^uint32(0)
			if entry[0] == user {
				id = 65534
			}
			data = binary.LittleEndian.AppendUint32(data, id)
		}
		if err := syscall.Setxattr(file, "system.posix_acl_access", data, 0); err != nil {
			t.Fatal(err)
		}
	}
	is := func(want string) {
		t.Helper()
		_, err := cloudinit.Program(program, "")
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	is("")
	for _, group := range []int{0, 50} {
		if err := os.Chown(dir, 0, group); err != nil {
			t.Fatal(err)
		}
		list(dir, rwx)
		is("the directory " + dir + " must be writable only by its owner; sudo chmod go-w " + dir + ",")
		// That is what helps.
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		is("")
	}
	list(dir, rx)
	is("")
	list(program, rwx)
	is(program + ", which root would run at every boot, must be writable only by its owner: sudo chmod go-w " + program)
	list(program, rx)
	is("")
}
