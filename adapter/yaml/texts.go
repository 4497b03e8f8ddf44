package yaml

import "go.yaml.in/yaml/v4"

// Texts is a mapping from names to texts in the order of the file, which a Go
// map does not keep.
type Texts []Text

// A Text is one entry of Texts.
type Text struct{ Name, Text string }

func (t *Texts) decode(r *reader, n *yaml.Node) {
	*t = Texts{}
	r.entries(n, func(name, item *yaml.Node) {
		*t = append(*t, Text{name.Value, r.text(item)})
	})
}

func (*Texts) schema() object {
	return object{"type": "object", "additionalProperties": text()}
}
