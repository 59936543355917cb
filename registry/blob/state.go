package blob

import (
	"bytes"
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

const (
	dataName  = "data"
	stateName = "state"
)

// stateMagic begins every state file and changes with its format, which is: the magic, the offset
// as 8 bytes in big-endian order, the hash as it marshals itself, and the sha256 of all of these.
const stateMagic = "almanac upload 1\n"

// state is how far an upload has come: the hash has taken exactly the first offset bytes.
type state struct {
	offset int64
	hash   hash.Hash
}

func newState() state { return state{hash: sha256.New()} }

// digest returns the digest of the bytes up to the offset.
func (s state) digest() registry.Digest {
	return registry.Digest(hex.EncodeToString(s.hash.Sum(nil)))
}

// encode returns the content of a state file.
func (s state) encode() ([]byte, error) {
	sum, err := s.hash.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return nil, err
	}
	b := binary.BigEndian.AppendUint64([]byte(stateMagic), uint64(s.offset))
	return seal(append(b, sum...)), nil
}

func seal(b []byte) []byte {
	check := sha256.Sum256(b)
	return append(b, check[:]...)
}

// parseState reads what encode made. It accepts nothing else, not even the hash of another release
// of Go if that should marshal itself in another way.
func parseState(b []byte) (state, error) {
	n := len(b) - sha256.Size
	if n < len(stateMagic)+8 || !bytes.HasPrefix(b, []byte(stateMagic)) {
		return state{}, errors.New("it is not the state of an upload")
	}
	if !bytes.Equal(seal(bytes.Clone(b[:n])), b) {
		return state{}, errors.New("its checksum is wrong")
	}
	b = b[len(stateMagic):n]
	offset := binary.BigEndian.Uint64(b)
	if offset > math.MaxInt64 {
		return state{}, fmt.Errorf("its offset %d is too large", offset)
	}
	s := state{offset: int64(offset), hash: sha256.New()}
	if err := s.hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(b[8:]); err != nil {
		return state{}, err
	}
	return s, nil
}

// readState returns the state in an upload's directory, and that of an empty upload where there is
// none or it is damaged.
func (d *Disk) readState(dir string) (state, error) {
	d.states.RLock()
	b, err := os.ReadFile(filepath.Join(dir, stateName))
	d.states.RUnlock()
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return newState(), nil
		}
		return state{}, err
	}
	s, err := parseState(b)
	if err != nil {
		return newState(), nil //nolint:nilerr // damage is an answer here: nothing is known to be safe
	}
	return s, nil
}

// safeState returns the state of the bytes of an upload that are safe.
func (d *Disk) safeState(id string) (state, error) {
	dir := d.uploadPath(id)
	// The state comes before the size: a running Append adds to both, the size first.
	s, err := d.readState(dir)
	if err != nil {
		return state{}, diskError(err)
	}
	info, err := os.Stat(filepath.Join(dir, dataName))
	if err != nil {
		return state{}, d.missing(err, d.uploads, "upload %s does not exist", id)
	}
	if info.Size() < s.offset {
		return newState(), nil
	}
	return s, nil
}

// writeState replaces the state in an upload's directory by what encode made. It is durable when writeState returns
// nil; after an error or a crash there is the old state or the new one.
func (d *Disk) writeState(dir string, encoded []byte) error {
	name := filepath.Join(dir, stateName)
	f, err := os.OpenFile(name+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}
	_, err = f.Write(encoded)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	d.states.Lock()
	err = os.Rename(name+".tmp", name)
	d.states.Unlock()
	if err != nil {
		return err
	}
	return syncDir(dir)
}

// removeState removes the state in an upload's directory for good.
func (d *Disk) removeState(dir string) error {
	d.states.Lock()
	err := os.Remove(filepath.Join(dir, stateName))
	d.states.Unlock()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncDir(dir)
}
