package sqlstore

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// micros is how a time is kept.
func micros(t time.Time) int64 { return t.UnixMicro() }

func timeOf(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

// optionalMicros is NULL for no time.
func optionalMicros(t *time.Time) any {
	if t == nil {
		return nil
	}
	return t.UnixMicro()
}

func optionalTime(n sql.NullInt64) *time.Time {
	if !n.Valid {
		return nil
	}
	t := timeOf(n.Int64)
	return &t
}

// encode is how a list or a map is kept.
func encode[S ~[]E, E any](list S) (string, error) { return encodeJSON(len(list), list) }

func encodeMap[M ~map[string]string](m M) (string, error) { return encodeJSON(len(m), m) }

func encodeJSON(n int, v any) (string, error) {
	if n == 0 {
		return "", nil
	}
	text, err := json.Marshal(v)
	return string(text), err
}

func decode[T any](text string) (T, error) {
	var v T
	if text == "" {
		return v, nil
	}
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return v, fmt.Errorf("a value in the database is not what was written: %w", err)
	}
	return v, nil
}

// args numbers the parameters of a statement that is put together.
type args struct{ values []any }

func (a *args) add(v any) string {
	a.values = append(a.values, v)
	return fmt.Sprintf("$%d", len(a.values))
}
