package mutants

var inTemplate = []mistake{}
