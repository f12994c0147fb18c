module tapebpf/gotraceui-referee

go 1.24.0

require (
	golang.org/x/exp v0.0.0-20250911091902-df9299821621
	honnef.co/go/gotraceui v0.5.0-0.dev.0.20251215145518-bfc5b70255ca
)

require (
	gioui.org v0.4.1 // indirect
	github.com/go-json-experiment/json v0.0.0-20250714165856-be8212f5270d // indirect
	honnef.co/go/stuff v0.0.0-20251106172302-97592e64bbb7 // indirect
)
