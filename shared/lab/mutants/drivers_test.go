package mutants

var inDrivers = []mistake{}
