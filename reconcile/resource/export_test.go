package resource

// Control is control, for the tests.
var Control = control
