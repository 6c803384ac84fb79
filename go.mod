module posthouse

go 1.26
