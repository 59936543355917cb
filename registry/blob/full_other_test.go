//go:build !linux

package blob_test

import "errors"

func fillUp(string) error { return errors.ErrUnsupported }
