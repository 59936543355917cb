package box

// VerifyBelow is Verify with a limit that a test can reach.
var VerifyBelow = verify
