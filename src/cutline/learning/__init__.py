"""Learning from feedback: data sets from exports, challengers from champions, and the gates between them."""
