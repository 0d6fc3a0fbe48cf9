package reconcile

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/nft"
)

// TestWatchReadsTheGuardAgain: a table that cannot be read for a while, and is
// gone, is back a second after it can be.
func TestWatchReadsTheGuardAgain(t *testing.T) {
	g := newGateway(t)
	g.run(t, "sh", "-ec", "ip link add mape0 type bridge; ip link set mape0 up")
	namespace, err := unix.Dup(g.fd())
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(namespace)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	// to has nf_tables asked in the namespace, or, of a file that is none, nowhere.
	to := func(fd int) {
		t.Helper()
		if err := unix.Dup3(fd, namespace, unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
	}
	g.h.NFT = nft.OpenNS(namespace)
	w := startWatch(t, g, lineSection)
	defer w.stop()
	w.says(t, 10*second, "CE "+ceOfLine, "changed in")
	w.rest(t)
	w.forget()
	to(int(null.Fd()))
	w.run(t, "nft", "delete", "table", "ip", "mape")
	w.says(t, second, "<3>table ip mape: reading nftables: ")
	time.Sleep(2500 * time.Millisecond) // Nothing else has it look any more.
	to(g.fd())
	took := w.await(t, "it is mended", mendMostTable+second, func() bool {
		return strings.Contains(strings.Join(w.log, "\n"), "mended table ip mape, which was gone")
	})
	t.Log(took.Round(time.Millisecond))
	if n := strings.Count(strings.Join(w.log, "\n"), "reading nftables"); n != 1 {
		t.Errorf("said %d times: %q", n, w.log)
	}
}

// TestFailing: a pause doubles with the time that something fails, not with how
// often it is tried, and the table's stays short.
func TestFailing(t *testing.T) {
	begin := time.Now()
	for _, r := range []struct {
		Resource
		after, want time.Duration
	}{
		{Table{}, 0, mendFirst},
		{Table{}, 150 * time.Millisecond, 150 * time.Millisecond},
		{standing{}, time.Hour, mendMostTable},
		{Sysctl{}, 0, mendFirst},
		{Sysctl{}, time.Minute, time.Minute},
		{Sysctl{}, time.Hour, mendMost},
	} {
		since := time.Time{}
		for range 20 {
			failing(&since, begin, mostPause(r))
		}
		if got := failing(&since, begin.Add(r.after), mostPause(r)); got != r.want {
			t.Errorf("%s after %v: %v, want %v", r.Name(), r.after, got, r.want)
		}
	}
}
