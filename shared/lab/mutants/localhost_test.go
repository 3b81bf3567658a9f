package mutants

var inLocalhost = []mistake{}
