// Package format checks the version of stored data: of table items, messages, notes, manifests and the local store.
//
// Every stored value carries its format version in a field "v". Data without the field is version 1: it was written
// before there was a field. A reader accepts its own version and all earlier ones. It refuses a newer one, so that an
// older release, deployed by mistake, neither misreads nor overwrites what a newer one has stored.
package format

import (
	"errors"
	"fmt"
)

// ErrNewer reports data in a format that this release does not know. The caller must leave the data where it is and
// fail, so that it is tried again.
var ErrNewer = errors.New("stored by a newer release: deploy that release or a later one; nothing is lost meanwhile")

// Check returns [ErrNewer] if data of version v is newer than current. Version 0 is data without a version.
func Check(v, current int) error {
	if v > current {
		return fmt.Errorf("format version %d, this release reads up to %d: %w", v, current, ErrNewer)
	}
	return nil
}
