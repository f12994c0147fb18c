module tapebpf/gotrace-referee

go 1.24.0

require golang.org/x/exp v0.0.0-20250911091902-df9299821621
