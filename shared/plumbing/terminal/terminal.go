// Package terminal writes for people who look at a terminal.
package terminal

import "os"

// Is reports whether a file is a terminal.
func Is(f *os.File) bool {
	info, err := f.Stat()
	null, _ := os.Stat(os.DevNull) // a character device too
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && !os.SameFile(info, null)
}
