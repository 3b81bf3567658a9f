package mutants

var inCommands = []mistake{}
