package parser

import (
	"reflect"
	"slices"
)

// Member is one member of the JSON object that a struct is on the wire.
type Member struct {
	Name     string              // in the object
	Field    reflect.StructField // whose Index starts at the struct that Members was asked about
	Optional bool                // it can be missing: omitempty, omitzero, or behind an embedded pointer
	Quoted   bool                // the tag says ",string": a scalar in a string
}

// Members returns the members of a struct type in the order of the fields, promoted
// ones of embedded structs included: exactly those that AppendValue writes and Bind
// takes. It returns nil for any other type.
func Members(t reflect.Type) []Member {
	if t.Kind() != reflect.Struct {
		return nil
	}
	list := planOf(t).fields.list
	members := make([]Member, len(list))
	for i, f := range list {
		sf := t.FieldByIndex(f.index)
		sf.Index = slices.Clone(f.index)
		members[i] = Member{f.name, sf, f.omitEmpty || f.omitZero || behindPointer(t, f.index), f.quoted}
	}
	return members
}

// behindPointer reports whether the path to a field leads through an embedded pointer.
func behindPointer(t reflect.Type, index []int) bool {
	for _, x := range index[:len(index)-1] {
		t = t.Field(x).Type
		if t.Kind() == reflect.Pointer {
			return true
		}
	}
	return false
}

// IsBinary reports whether values of type t are binary attachments on the wire: byte
// slices of any name.
func IsBinary(t reflect.Type) bool { return isBinary(t) }
