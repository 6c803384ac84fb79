package login

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// ErrSpoolFull refuses a claim when the spool holds as many as it may.
var ErrSpoolFull = errors.New("login: spool is full")

// maxSpooled bounds the spool. At a few hundred bytes each it is a file of some
// megabytes, and minutes of scans at a rate no single replica sees.
const maxSpooled = 10_000

// Spool keeps claims in a local file while the store is away, so that a webhook
// may be answered success although the store could not be told (docs/reliability.md §3 row F32).
// Every Append is on disk when it returns. The file holds openids: it is made
// readable for its owner only, and emptied when all claims were replayed. One
// process owns one file. Safe for concurrent use.
type Spool struct {
	mu            sync.Mutex // guards the fields below, and writing
	file          *os.File
	claims        []Claim // waiting to be replayed, oldest first
	replayedCount int     // claims that were replayed but still stand in the file
	writtenBytes  int64   // bytes of whole lines
	brokenBy      error   // the file cannot be trusted any more
	damagedLines  int
	maxClaims     int
	wakeSignal    chan struct{}

	syncMu      sync.Mutex // held while the disk works, never with mu
	syncedBytes int64      // bytes known to be on disk, guarded by syncMu
}

type spoolLine struct {
	AppID   string `json:"appid"`
	Scene   string `json:"scene"`
	WeChat  string `json:"ticket,omitempty"`
	OpenID  string `json:"openid"`
	UnionID string `json:"unionid,omitempty"`
	Confirm bool   `json:"confirm,omitempty"`
	Risk    bool   `json:"risk,omitempty"`
	At      int64  `json:"at"`            // ms
	EventAt int64  `json:"evt,omitempty"` // ms
}

// OpenSpool opens or makes the file at path and reads what a former process left.
// A last line torn by a crash was never answered for and is cut off.
func OpenSpool(path string) (*Spool, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("login: spool: %w", err)
	}
	s := &Spool{file: f, maxClaims: maxSpooled, wakeSignal: make(chan struct{}, 1)}
	if err := errors.Join(s.loadFile(), syncDir(path)); err != nil {
		f.Close()
		return nil, fmt.Errorf("login: spool: %w", err)
	}
	return s, nil
}

func (s *Spool) loadFile() error {
	r := bufio.NewReader(s.file)
	for {
		line, err := r.ReadBytes('\n')
		if err == io.EOF {
			break // what stands in line is torn
		}
		if err != nil {
			return err
		}
		s.writtenBytes += int64(len(line))
		if c, ok := parseSpoolLine(line); ok {
			s.claims = append(s.claims, c)
		} else {
			s.damagedLines++ // one bad line does not take the good ones with it
		}
	}
	if err := s.file.Truncate(s.writtenBytes); err != nil {
		return err
	}
	if _, err := s.file.Seek(s.writtenBytes, io.SeekStart); err != nil {
		return err
	}
	s.syncedBytes = s.writtenBytes
	return s.file.Sync()
}

// syncDir makes the file's name survive a crash, too.
func syncDir(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// Damaged is how many lines of the file could not be read when it was opened.
func (s *Spool) Damaged() int { return s.damagedLines }

// Append puts c at the end and returns when it is on disk.
func (s *Spool) Append(c Claim) error {
	line := formatSpoolLine(c)
	s.mu.Lock()
	if s.brokenBy != nil {
		s.mu.Unlock()
		return s.brokenBy
	}
	if len(s.claims)+s.replayedCount >= s.maxClaims {
		s.mu.Unlock()
		return ErrSpoolFull
	}
	if _, err := s.file.Write(line); err != nil {
		// Cut off what was written of it; if even that fails, nothing that follows
		// could be read again.
		if cut := s.truncateTo(s.writtenBytes); cut != nil {
			s.brokenBy = fmt.Errorf("login: spool: %w", cut)
		}
		s.mu.Unlock()
		return fmt.Errorf("login: spool: %w", err)
	}
	s.writtenBytes += int64(len(line))
	end := s.writtenBytes
	s.claims = append(s.claims, c)
	s.mu.Unlock()

	if err := s.syncTo(end); err != nil {
		return err
	}
	select {
	case s.wakeSignal <- struct{}{}:
	default:
	}
	return nil
}

// syncTo waits until the first end bytes are on disk. Appends that come together
// share one fsync.
func (s *Spool) syncTo(end int64) error {
	s.syncMu.Lock()
	defer s.syncMu.Unlock()
	if s.syncedBytes >= end {
		return nil
	}
	s.mu.Lock()
	written := s.writtenBytes
	s.mu.Unlock()
	if err := s.file.Sync(); err != nil {
		// After a failed fsync the kernel may have dropped the pages: never trust
		// the file again. The claim stays in memory and may still succeed, but the
		// webhook is not answered for it.
		s.mu.Lock()
		s.brokenBy = fmt.Errorf("login: spool: %w", err)
		s.mu.Unlock()
		return fmt.Errorf("login: spool: %w", err)
	}
	s.syncedBytes = max(s.syncedBytes, written)
	return nil
}

// Len is how many claims wait to be replayed.
func (s *Spool) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.claims)
}

// Close closes the file; waiting claims stay in it.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.brokenBy = fmt.Errorf("login: spool: %w", os.ErrClosed)
	return s.file.Close()
}

// whenKept is readable after an Append.
func (s *Spool) whenKept() <-chan struct{} { return s.wakeSignal }

// holdsCode reports whether a claim of the same code waits.
func (s *Spool) holdsCode(c Claim) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.claims {
		if w.Scene == c.Scene && w.WeChat == c.WeChat {
			return true
		}
	}
	return false
}

func (s *Spool) firstClaim() (Claim, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.claims) == 0 {
		return Claim{}, false
	}
	return s.claims[0], true
}

// dropFirst forgets the first claim, which was replayed. The file is emptied with the
// last one; a crash before that replays some again, which changes nothing.
func (s *Spool) dropFirst() error {
	s.syncMu.Lock() // no fsync is under way while the file is cut
	defer s.syncMu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claims = s.claims[1:]
	s.replayedCount++
	if len(s.claims) > 0 || s.brokenBy != nil {
		return nil
	}
	s.claims, s.replayedCount, s.writtenBytes, s.syncedBytes = nil, 0, 0, 0
	if err := s.truncateTo(0); err != nil {
		s.brokenBy = fmt.Errorf("login: spool: %w", err)
		return s.brokenBy
	}
	return nil
}

func (s *Spool) truncateTo(to int64) error {
	if err := s.file.Truncate(to); err != nil {
		return err
	}
	_, err := s.file.Seek(to, io.SeekStart)
	return err
}

// A line is the CRC-32 of its JSON in hex, a space, the JSON.
func formatSpoolLine(c Claim) []byte {
	event := int64(0)
	if !c.EventAt.IsZero() {
		event = c.EventAt.UnixMilli()
	}
	text, err := json.Marshal(spoolLine{c.AppID, c.Scene, c.WeChat, c.OpenID, c.UnionID, c.Confirm, c.Risk, c.At.UnixMilli(), event})
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return fmt.Appendf(nil, "%08x %s\n", crc32.ChecksumIEEE(text), text)
}

func parseSpoolLine(line []byte) (Claim, bool) {
	sum, text, ok := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
	if !ok {
		return Claim{}, false
	}
	want, err := strconv.ParseUint(string(sum), 16, 32)
	if err != nil || uint32(want) != crc32.ChecksumIEEE(text) {
		return Claim{}, false
	}
	var l spoolLine
	if json.Unmarshal(text, &l) != nil {
		return Claim{}, false
	}
	event := time.Time{}
	if l.EventAt > 0 {
		event = time.UnixMilli(l.EventAt)
	}
	return Claim{
		AppID: l.AppID, Scene: l.Scene, WeChat: l.WeChat, OpenID: l.OpenID, UnionID: l.UnionID,
		Confirm: l.Confirm, Risk: l.Risk, At: time.UnixMilli(l.At), EventAt: event,
	}, true
}
