package msgpack

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"time"

	"posthouse/internal/jsontext"
)

// AppendJSON reads one value of any kind and appends it to dst in canonical
// form: JSON as JSON.stringify would write what notepack.io decodes, with
// placeholders for binary values, which are appended to attachments and alias
// the input. Timestamps become ISO strings. The forms of older versions are
// understood: extension 0 as ArrayBuffer, as Date (8 bytes) and as undefined (1
// byte); other extensions are an array of their type and their data. A NaN, an
// infinity and an impossible date are null. Keys that are no strings are
// written as JavaScript names them.
//
// On an error dst and attachments come back as they were.
func (r *Reader) AppendJSON(dst []byte, attachments [][]byte) ([]byte, [][]byte, error) {
	t := toJSON{r: r, dst: dst, attachments: attachments, before: len(attachments)}
	if err := t.value(r.depth()); err != nil {
		return dst, attachments, err
	}
	return t.dst, t.attachments, nil
}

// JSON transcodes exactly one value.
func JSON(src []byte) (json []byte, attachments [][]byte, err error) {
	r := Reader{b: src}
	json, attachments, err = r.AppendJSON(nil, nil)
	if err == nil {
		err = r.Done()
	}
	if err != nil {
		return nil, nil, err
	}
	return json, attachments, nil
}

type toJSON struct {
	r           *Reader
	dst         []byte
	attachments [][]byte
	before      int // attachments of the caller
}

func (t *toJSON) value(depth int) error {
	r := t.r
	switch k := r.Kind(); k {
	case Nil:
		r.Nil()
		t.dst = append(t.dst, "null"...)
		return nil
	case Bool:
		v, err := r.Bool()
		t.dst = strconv.AppendBool(t.dst, v)
		return err
	case Int:
		n, negative, err := r.integer()
		t.dst = appendInteger(t.dst, n, negative)
		return err
	case Float:
		f, err := r.float()
		t.dst = jsontext.AppendFloat(t.dst, f, 64)
		return err
	case String:
		s, err := r.Text()
		t.dst = jsontext.AppendQuoted(t.dst, s)
		return err
	case Binary:
		b, err := r.Binary()
		if err != nil {
			return err
		}
		return t.binary(b)
	case Extension:
		_, err := t.extension()
		return err
	case Array:
		return t.array(depth)
	case Map:
		return t.object(depth)
	default:
		return r.fail("%s", k)
	}
}

// appendInteger prints an integer as JavaScript, which holds it as a float.
func appendInteger(dst []byte, n uint64, negative bool) []byte {
	switch {
	case negative && int64(n) >= -1<<53:
		return strconv.AppendInt(dst, int64(n), 10)
	case negative:
		return jsontext.AppendFloat(dst, float64(int64(n)), 64)
	case n <= 1<<53:
		return strconv.AppendUint(dst, n, 10)
	default:
		return jsontext.AppendFloat(dst, float64(n), 64)
	}
}

func (t *toJSON) binary(b []byte) error {
	if limit := t.r.MaxAttachments; limit > 0 && len(t.attachments)-t.before >= limit {
		t.r.err = fmt.Errorf("%w: %w: more than %d binary values", ErrInvalid, ErrLimit, limit)
		return t.r.err
	}
	t.dst = jsontext.AppendPlaceholder(t.dst, len(t.attachments))
	t.attachments = append(t.attachments, b)
	return nil
}

// extension appends an extension; undefined says that it stands for JavaScript's
// undefined, which is null in an array and nothing in an object.
func (t *toJSON) extension() (undefined bool, err error) {
	fixed := t.r.b[0] >= 0xd4
	kind, data, err := t.r.Extension()
	if err != nil {
		return false, err
	}
	switch {
	case kind == timestampKind && (len(data) == 4 || len(data) == 8 || len(data) == 12):
		at, _ := timestamp(data)
		t.appendDate(at)
	case kind == timestampKind && !fixed:
		return false, t.r.fail("timestamp of %d bytes", len(data))
	case kind == 0 && !fixed:
		return false, t.binary(data)
	case kind == 0 && len(data) == 1:
		t.dst = append(t.dst, "null"...)
		return true, nil
	case kind == 0 && len(data) == 8:
		t.appendDate(time.UnixMilli(int64(binary.BigEndian.Uint64(data))))
	default:
		t.dst = strconv.AppendInt(append(t.dst, '['), int64(kind), 10)
		t.dst = append(t.dst, ',')
		if err := t.binary(data); err != nil {
			return false, err
		}
		t.dst = append(t.dst, ']')
	}
	return false, nil
}

// maxDate is the distance from 1970, in seconds, up to which JavaScript has
// dates.
const maxDate = 8_640_000_000_000

func (t *toJSON) appendDate(at time.Time) {
	ms := at.UnixMilli()
	if s := at.Unix(); s < -maxDate-1 || s > maxDate {
		ms = math.MaxInt64
	} else if s < 0 && at.Nanosecond()%1_000_000 != 0 {
		ms++ // a Date drops the fraction of its milliseconds, towards 1970
	}
	if ms < -maxDate*1000 || ms > maxDate*1000 {
		t.dst = append(t.dst, "null"...)
		return
	}
	t.dst = jsontext.AppendTime(t.dst, time.UnixMilli(ms))
}

func (t *toJSON) array(depth int) error {
	n, err := t.r.ArrayHeader()
	if err != nil {
		return err
	}
	if depth <= 0 {
		return t.r.tooDeep()
	}
	t.dst = append(t.dst, '[')
	for i := range n {
		if i > 0 {
			t.dst = append(t.dst, ',')
		}
		if err := t.value(depth - 1); err != nil {
			return err
		}
	}
	t.dst = append(t.dst, ']')
	return nil
}

func (t *toJSON) object(depth int) error {
	n, err := t.r.MapHeader()
	if err != nil {
		return err
	}
	if depth <= 0 {
		return t.r.tooDeep()
	}
	t.dst = append(t.dst, '{')
	first := true
	for range n {
		before := len(t.dst)
		if !first {
			t.dst = append(t.dst, ',')
		}
		if err := t.key(); err != nil {
			return err
		}
		t.dst = append(t.dst, ':')
		if t.r.Kind() == Extension {
			undefined, err := t.extension()
			if err != nil {
				return err
			}
			if undefined {
				t.dst = t.dst[:before]
				continue
			}
		} else if err := t.value(depth - 1); err != nil {
			return err
		}
		first = false
	}
	t.dst = append(t.dst, '}')
	return nil
}

func (t *toJSON) key() error {
	r := t.r
	switch k := r.Kind(); k {
	case String:
		s, err := r.Text()
		if string(s) == "_placeholder" {
			// A peer's value that looks like a placeholder must not become one: in
			// canonical form only the plain spelling means an attachment.
			t.dst = append(t.dst, `"\u005fplaceholder"`...)
			return err
		}
		t.dst = jsontext.AppendQuoted(t.dst, s)
		return err
	case Nil, Bool, Int:
		t.dst = append(t.dst, '"')
		err := t.value(0)
		t.dst = append(t.dst, '"')
		return err
	case Float:
		f, err := r.float()
		t.dst = append(t.dst, '"')
		switch {
		case math.IsNaN(f):
			t.dst = append(t.dst, "NaN"...)
		case math.IsInf(f, 1):
			t.dst = append(t.dst, "Infinity"...)
		case math.IsInf(f, -1):
			t.dst = append(t.dst, "-Infinity"...)
		default:
			t.dst = jsontext.AppendFloat(t.dst, f, 64)
		}
		t.dst = append(t.dst, '"')
		return err
	default:
		return r.fail("%s as a key", k)
	}
}
