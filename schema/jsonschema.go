package schema

import _ "embed"

// JSONSchema describes a file with a mape: section to editors, as JSON Schema
// 2020-12. A first line
//
//	# yaml-language-server: $schema=/usr/share/mape-netplan/mape.schema.json
//
// makes them complete and check it.
//
//go:embed mape.schema.json
var JSONSchema []byte
