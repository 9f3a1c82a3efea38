//! Files of the log: messages in MessagePack, one after the other, in an LZ4 frame whose checksums
//! tell a damaged file.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context as _, ensure};
use echolog_nats::Stored;
use lz4_flex::frame::{FrameDecoder, FrameEncoder, FrameInfo};

use super::manifest::{self, Segment};

/// Writes a file; messages without a gap, at least one.
pub(super) fn write(directory: &Path, messages: &[Stored]) -> anyhow::Result<Segment> {
    let (Some(first), Some(last)) = (messages.first(), messages.last()) else {
        anyhow::bail!("a file of nothing")
    };
    let name = format!("log-{:020}.lz4", first.seq);
    manifest::write(directory, &name, |file| {
        let checked = FrameInfo::new().block_checksums(true).content_checksum(true);
        let mut packed = FrameEncoder::with_frame_info(checked, BufWriter::new(file));
        for message in messages {
            rmp_serde::encode::write(&mut packed, message)?;
        }
        packed.finish()?.flush()?;
        Ok(())
    })?;
    Ok(Segment { file: name, first: first.seq, last: last.seq, until: last.stored })
}

/// Reads a file whole.
pub(super) fn read(directory: &Path, segment: &Segment) -> anyhow::Result<Vec<Stored>> {
    let path = directory.join(&segment.file);
    let read = || {
        let mut packed = BufReader::new(FrameDecoder::new(File::open(&path)?));
        let mut messages: Vec<Stored> = Vec::new();
        for seq in segment.first..=segment.last {
            let message: Stored = rmp_serde::from_read(&mut packed)?;
            ensure!(message.seq == seq, "message {} where {seq} should be", message.seq);
            messages.push(message);
        }
        // The checksum of the whole stands at the end.
        ensure!(std::io::copy(&mut packed, &mut std::io::sink())? == 0, "there is more in it");
        Ok(messages)
    };
    read().with_context(|| format!("{} cannot be read", path.display()))
}
