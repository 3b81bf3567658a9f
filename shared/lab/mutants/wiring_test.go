package mutants

var inWiring = []mistake{}
