package facts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"mape-netplan/reconcile/kernel"
)

// Parse reads the output of "mape-netplan facts", of this version or another:
// unknown keys are skipped.
func Parse(data []byte) (Facts, error) {
	var f Facts
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // the byte order mark of some editors
	if len(bytes.TrimSpace(data)) == 0 {
		return f, errors.New("it is empty")
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return f, err
	}
	switch {
	case f.Links == nil:
		return f, errors.New("it has no links")
	case slices.ContainsFunc(f.Links, func(l kernel.Link) bool { return l.Name == "" }):
		return f, errors.New("one of its links has no name")
	}
	return f, check(reflect.ValueOf(f), false)
}

// check refuses what Gather never finds, and what is made of facts relies on that: an address that is null, unless its
// key may be missing, an empty text in a list, and control characters.
func check(v reflect.Value, optional bool) error {
	if !v.CanInterface() {
		return nil
	}
	if x, ok := v.Interface().(interface{ IsValid() bool }); ok {
		if !optional && !x.IsValid() {
			return errors.New("an address or prefix in it is missing")
		}
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		if s := v.String(); !optional && (s == "" || strings.ContainsFunc(s, unicode.IsControl)) {
			return fmt.Errorf("%q in it is not a name", s)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			return check(v.Elem(), false)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if err := check(v.Field(i), field.Type.Kind() == reflect.String || strings.Contains(field.Tag.Get("json"), ",omit")); err != nil {
				return err
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if err := check(v.Index(i), false); err != nil {
				return err
			}
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			if err := errors.Join(check(key, false), check(v.MapIndex(key), false)); err != nil {
				return err
			}
		}
	}
	return nil
}
