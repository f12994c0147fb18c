module tapebpf/peer-go

go 1.25
