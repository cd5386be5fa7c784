//! The company's own web site, on another origin than the gateway: one page that carries the widget.

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};

/// Serves the page on port 8090 of an address for as long as the test runs.
///
/// # Errors
/// When the port is taken.
pub fn serve(address: IpAddr, gateway: &str, queue: &str) -> Result<String, String> {
    let at = SocketAddr::new(address, 8090);
    let listener = TcpListener::bind(at).map_err(|error| format!("{at}: {error}"))?;
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Basket \u{2014} the \"shop\"</title>\
         <h1>Basket</h1><passerelle-talk></passerelle-talk>\
         <script type=module src=\"{gateway}/widget.js\" data-tenant=shop data-queue={queue}></script>"
    );
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(&stream).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            // A browser that gave up needs no page.
            let _sent = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{html}",
                html.len()
            );
        }
    });
    Ok(format!("http://{at}/basket?secret=1"))
}
