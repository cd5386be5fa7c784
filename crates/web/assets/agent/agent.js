// The agent console.
