//! The words that go over the socket.
