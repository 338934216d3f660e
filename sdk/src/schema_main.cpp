// Prints the ServiceSchema of one service: compiled natively from the service's own header at build time.
