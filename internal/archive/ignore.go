package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// Ignore says what of a directory is not packed, by patterns in the syntax of .gitignore and with its
// rules: the last pattern that matches decides, one that begins with "!" keeps, and what is in a directory
// that is left out cannot be kept.
type Ignore struct {
	// File is the name of the files that hold patterns, one on each line. Each is for the directory that
	// it is in and for those below. "" reads none.
	File string
	// Patterns are for the whole directory. They come after those of all files.
	Patterns []string
}

// gitName is what git calls a repository, and the file that leads to one elsewhere.
const gitName = ".git"

// maxIgnoreFile is far beyond what anybody writes.
const maxIgnoreFile = 1 << 20

// ignoring is an [Ignore] on its way through a directory.
type ignoring struct {
	file string
	last []pattern
	// levels are the directories with patterns from the root to where the walk is.
	levels []level
}

type level struct {
	// dir is the path of the directory with a slash at its end; "" is the root.
	dir      string
	patterns []pattern
}

// start reads the patterns that are no file's. The error has all that is wrong with them.
func (i Ignore) start() (*ignoring, error) {
	walk := &ignoring{file: i.File}
	var wrong []error
	for _, text := range i.Patterns {
		p, err := parsePattern(text)
		walk.last, wrong = append(walk.last, p), append(wrong, err)
	}
	return walk, errors.Join(wrong...)
}

// skips says whether something is left out. The walk comes in the order of [fs.WalkDir].
func (i *ignoring) skips(name string, dir bool) bool {
	if path.Base(name) == gitName {
		return true
	}
	for len(i.levels) > 0 && !strings.HasPrefix(name, i.levels[len(i.levels)-1].dir) {
		i.levels = i.levels[:len(i.levels)-1]
	}
	levels := append(i.levels[:len(i.levels):len(i.levels)], level{patterns: i.last})
	for n := len(levels) - 1; n >= 0; n-- {
		names := strings.Split(strings.TrimPrefix(name, levels[n].dir), "/")
		for k := len(levels[n].patterns) - 1; k >= 0; k-- {
			if p := levels[n].patterns[k]; p.matches(names, dir) {
				return !p.keep
			}
		}
	}
	return false
}

// enter reads the patterns of a directory.
func (i *ignoring) enter(root *os.Root, dir string) error {
	if i.file == "" {
		return nil
	}
	name := path.Join(dir, i.file)
	content, err := readIgnoreFile(root, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	patterns, err := parseLines(name, content)
	if dir += "/"; dir == "./" {
		dir = ""
	}
	i.levels = append(i.levels, level{dir, patterns})
	return err
}

func readIgnoreFile(root *os.Root, name string) ([]byte, error) {
	// Opening a pipe would wait for a writer.
	if stat, err := root.Stat(name); err != nil {
		return nil, err
	} else if !stat.Mode().IsRegular() {
		return nil, fmt.Errorf("%s must be a file with patterns of what is not packed", name)
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxIgnoreFile+1))
	if err == nil && len(content) > maxIgnoreFile {
		err = fmt.Errorf("%s has more than %d bytes; patterns need less", name, maxIgnoreFile)
	}
	return content, err
}

// parseLines reads a file's patterns. The error names all lines that are wrong.
func parseLines(name string, content []byte) ([]pattern, error) {
	var patterns []pattern
	var wrong []error
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	number := 0
	for line := range strings.Lines(string(content)) {
		number++
		text := trimSpaces(strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"))
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		p, err := parsePattern(text)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s:%d: %w", name, number, err))
			continue
		}
		patterns = append(patterns, p)
	}
	return patterns, errors.Join(wrong...)
}

// trimSpaces removes spaces at the end, up to one that a backslash keeps.
func trimSpaces(line string) string {
	end := 0
	for i := 0; i < len(line); i++ {
		if line[i] == '\\' && i+1 < len(line) {
			i++
		} else if line[i] == ' ' {
			continue
		}
		end = i + 1
	}
	return line[:end]
}
