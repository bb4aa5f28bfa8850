//! An encrypted connection between two collectors: Noise over TCP, with length-prefixed frames.

use std::{io, sync::Arc};

use snow::{Builder, HandshakeState, StatelessTransportState};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};
use zeroize::{Zeroize, Zeroizing};

/// Length of the key that all collectors share, in bytes.
pub const KEY_BYTES: usize = 32;
/// Maximum payload of a frame, in bytes.
pub const FRAME_BYTES_MAX: usize = WIRE_BYTES_MAX - TAG_BYTES;

/// Nobody without the key can start a session (`psk0`), and fresh Diffie-Hellman keys per connection keep
/// earlier traffic secret if the key is stolen later (`NN`, "ee").
const PATTERN: &str = "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s";
/// Both ends must speak the same protocol version: another version has another prologue.
const PROLOGUE: &[u8] = b"sotto peers 1";
/// Maximum length of a Noise message.
const WIRE_BYTES_MAX: usize = 65_535;
/// Length of an authentication tag.
const TAG_BYTES: usize = 16;
/// Maximum length of a handshake message: a public key and a tag.
const HANDSHAKE_BYTES_MAX: usize = 64;

/// The sending half.
pub struct Sender {
    stream: OwnedWriteHalf,
    noise: Arc<StatelessTransportState>,
    nonce: u64,
    wire: Vec<u8>,
}

/// The receiving half.
pub struct Receiver {
    stream: OwnedReadHalf,
    noise: Arc<StatelessTransportState>,
    nonce: u64,
    wire: Vec<u8>,
}

/// Connects to a collector.
///
/// # Errors
/// When it cannot be reached or does not prove that it has the key.
pub async fn call(address: &str, key: &[u8; KEY_BYTES]) -> io::Result<(Sender, Receiver)> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut noise = builder(key)?.build_initiator().map_err(broken)?;
    say(&mut stream, &mut noise).await?;
    hear(&mut stream, &mut noise).await?;
    split(stream, noise)
}

/// Accepts a connection from a collector.
///
/// # Errors
/// When it does not prove that it has the key.
pub async fn answer(mut stream: TcpStream, key: &[u8; KEY_BYTES]) -> io::Result<(Sender, Receiver)> {
    stream.set_nodelay(true)?;
    let mut noise = builder(key)?.build_responder().map_err(broken)?;
    hear(&mut stream, &mut noise).await?;
    say(&mut stream, &mut noise).await?;
    split(stream, noise)
}

impl Sender {
    /// Sends a frame of at most [`FRAME_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// When the other end is gone or the frame is too long.
    pub async fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        self.wire.resize(2 + frame.len() + TAG_BYTES, 0);
        let len = self.noise.write_message(self.nonce, frame, &mut self.wire[2..]).map_err(broken)?;
        self.nonce += 1;
        let prefix = u16::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        self.wire[..2].copy_from_slice(&prefix.to_be_bytes());
        self.stream.write_all(&self.wire[..2 + len]).await
    }
}

impl Receiver {
    /// The next frame; overwritten when dropped. Not cancel-safe: half a frame cannot be read again.
    ///
    /// # Errors
    /// When the other end is gone or the frame fails authentication.
    pub async fn receive(&mut self) -> io::Result<Zeroizing<Vec<u8>>> {
        let len = usize::from(self.stream.read_u16().await?);
        self.wire.resize(len, 0);
        self.stream.read_exact(&mut self.wire).await?;
        let mut frame = Zeroizing::new(vec![0; len]);
        let len = self.noise.read_message(self.nonce, &self.wire, &mut frame).map_err(broken)?;
        self.nonce += 1;
        frame.truncate(len);
        Ok(frame)
    }
}

fn builder(key: &[u8; KEY_BYTES]) -> io::Result<Builder<'_>> {
    let pattern = PATTERN.parse().map_err(broken)?;
    Builder::new(pattern).psk(0, key).and_then(|b| b.prologue(PROLOGUE)).map_err(broken)
}

async fn say(stream: &mut TcpStream, noise: &mut HandshakeState) -> io::Result<()> {
    let mut message = [0; HANDSHAKE_BYTES_MAX];
    let len = noise.write_message(&[], &mut message).map_err(broken)?;
    stream.write_u16(u16::try_from(len).unwrap_or(0)).await?;
    stream.write_all(&message[..len]).await
}

async fn hear(stream: &mut TcpStream, noise: &mut HandshakeState) -> io::Result<()> {
    let len = usize::from(stream.read_u16().await?);
    let mut message = [0; HANDSHAKE_BYTES_MAX];
    let message = message.get_mut(..len).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    stream.read_exact(message).await?;
    let mut nothing = [0; HANDSHAKE_BYTES_MAX];
    noise.read_message(message, &mut nothing).map_err(broken)?;
    nothing.zeroize();
    Ok(())
}

fn split(stream: TcpStream, noise: HandshakeState) -> io::Result<(Sender, Receiver)> {
    let noise = Arc::new(noise.into_stateless_transport_mode().map_err(broken)?);
    let (read, write) = stream.into_split();
    let sender = Sender { stream: write, noise: noise.clone(), nonce: 0, wire: Vec::new() };
    Ok((sender, Receiver { stream: read, noise, nonce: 0, wire: Vec::new() }))
}

fn broken(error: snow::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not a collector with our key: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn pair(
        ours: [u8; KEY_BYTES],
        theirs: [u8; KEY_BYTES],
    ) -> (io::Result<(Sender, Receiver)>, io::Result<(Sender, Receiver)>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let answering = async { answer(listener.accept().await.unwrap().0, &theirs).await };
        tokio::join!(call(&address, &ours), answering)
    }

    #[tokio::test]
    async fn frames_arrive_as_they_were_sent_in_both_directions() {
        let (caller, answerer) = pair([7; KEY_BYTES], [7; KEY_BYTES]).await;
        let (mut to, mut from) = caller.unwrap();
        let (mut back, mut heard) = answerer.unwrap();
        for frame in [&b""[..], b"one", &[9; FRAME_BYTES_MAX]] {
            let (sent, received) = tokio::join!(to.send(frame), heard.receive());
            sent.unwrap();
            assert_eq!(received.unwrap().as_slice(), frame);
            let (sent, received) = tokio::join!(back.send(frame), from.receive());
            sent.unwrap();
            assert_eq!(received.unwrap().as_slice(), frame);
        }
        assert!(to.send(&[9; FRAME_BYTES_MAX + 1]).await.is_err());
    }

    #[tokio::test]
    async fn collector_with_another_key_gets_no_connection() {
        let (caller, answerer) = pair([7; KEY_BYTES], [8; KEY_BYTES]).await;
        assert!(caller.is_err() && answerer.is_err());
    }

    #[tokio::test]
    async fn what_is_on_the_wire_tells_nothing_and_changed_bytes_end_the_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let through = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (end, middle) = (listener.local_addr().unwrap(), through.local_addr().unwrap().to_string());
        // A man in the middle who reads everything and changes the last byte after the handshake.
        let eavesdropper = tokio::spawn(async move {
            let mut from = through.accept().await.unwrap().0;
            let mut to = TcpStream::connect(end).await.unwrap();
            let (mut seen, mut buffer) = (Vec::new(), vec![0; 1_000]);
            for round in 0..3 {
                let len = from.read(&mut buffer).await.unwrap();
                seen.extend_from_slice(&buffer[..len]);
                if round == 2 {
                    buffer[len - 1] ^= 1;
                }
                to.write_all(&buffer[..len]).await.unwrap();
                if round == 0 {
                    let len = to.read(&mut buffer).await.unwrap();
                    from.write_all(&buffer[..len]).await.unwrap();
                }
            }
            (seen, to)
        });
        let key = [7; KEY_BYTES];
        let answering = async { answer(listener.accept().await.unwrap().0, &key).await };
        let (caller, answerer) = tokio::join!(call(&middle, &key), answering);
        let (mut to, mut heard) = (caller.unwrap().0, answerer.unwrap().1);
        let secret = b"a salt that nobody may read";
        to.send(secret).await.unwrap();
        assert_eq!(heard.receive().await.unwrap().as_slice(), secret);
        to.send(secret).await.unwrap();
        assert!(heard.receive().await.is_err());
        let (seen, _to) = eavesdropper.await.unwrap();
        assert!(!seen.windows(8).any(|w| w == &secret[..8]));
    }
}
