module github.com/sneckauth/sneck/adapter/yaml

go 1.26.0

require (
	github.com/google/jsonschema-go v0.4.3
	github.com/sneckauth/sneck v0.0.0
	github.com/stretchr/testify v1.12.1
	go.yaml.in/yaml/v4 v4.0.0
)

require (
	github.com/go-json-experiment/json v1.27.2 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/crypto v0.59.0 // indirect
)

replace github.com/sneckauth/sneck => ../..
