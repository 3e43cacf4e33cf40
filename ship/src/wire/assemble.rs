//! From the blocks of scrapes to the body of a request.

use rosterd_exposition::Metadata;
use rosterd_model::Builder;
use rosterd_model::relabel::{Rules, Scratch};

use super::Message;
use super::field::{
    Value, bytes_key, fixed_key, put_bytes, put_double, put_number, put_varint, take_field, varint_key, varint_len,
};
use super::metadata::kind_number;
use super::series::{
    Damaged, Fields, LABEL, SAMPLE, Series, has_custom_buckets, is_exemplar, is_histogram, sample_len,
};
use super::symbols::Symbols;
use crate::{Block, Counts, Extra};

/// No body has more bytes, before it is compressed, unless its last series is large. Receivers take 32 MB or more.
pub const MOST_BYTES: usize = 8 << 20;

/// What an endpoint is sent besides float samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sends {
    /// `send_exemplars`.
    pub exemplars: bool,
    /// `send_native_histograms`.
    pub native_histograms: bool,
}

/// What a body holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// How much is in it.
    pub counts: Counts,
    /// The oldest timestamp, in milliseconds since 1970.
    pub oldest_ms: i64,
    /// The newest timestamp, in milliseconds since 1970.
    pub newest_ms: i64,
}

/// What of a block is not in the body although an endpoint is sent such things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dropped {
    /// What rules dropped.
    pub relabelled: Counts,
    /// Native histograms with custom buckets, for which version 1.0 has no place.
    pub custom_buckets: u32,
}

impl Dropped {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            relabelled: self.relabelled.plus(other.relabelled),
            custom_buckets: self.custom_buckets.saturating_add(other.custom_buckets),
        }
    }
}

/// How far a block has been taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BlockPlace {
    bytes: usize,
    series: usize,
}

impl BlockPlace {
    fn end(block: &Block) -> Self {
        Self { bytes: block.series.len(), series: block.counts.series as usize }
    }

    /// Whether nothing of the block is left.
    pub fn is_end(self, block: &Block) -> bool {
        self.bytes >= block.series.len()
    }
}

/// Puts bodies together. Used again and again, it soon allocates nothing.
#[derive(Debug)]
pub struct Assembler {
    message: Message,
    rules: Rules,
    sends: Sends,
    head: Head,
    /// The series, as fields of the request.
    series: Vec<u8>,
    symbols: Symbols,
    /// References of the series before: the next one has nearly the same labels.
    last: Vec<u32>,
    refs: Vec<u32>,
    /// The family that the series before belongs to, by its place in the block, and the numbers of its texts.
    family: Option<(u32, [u32; 2])>,
    builder: Builder,
    scratch: Scratch,
    buffer: Vec<u8>,
    message_buffer: Vec<u8>,
}

impl Assembler {
    /// An assembler for an endpoint; `rules` are its `write_relabel_configs`.
    pub fn new(message: Message, rules: Rules, sends: Sends) -> Self {
        Self {
            message,
            rules,
            sends,
            head: Head::default(),
            series: Vec::new(),
            symbols: Symbols::default(),
            last: Vec::new(),
            refs: Vec::new(),
            family: None,
            builder: Builder::new(),
            scratch: Scratch::default(),
            buffer: Vec::new(),
            message_buffer: Vec::new(),
        }
    }

    /// The version of the bodies.
    pub fn message(&self) -> Message {
        self.message
    }

    /// Changes the version. Only good while nothing is in it.
    pub fn set_message(&mut self, message: Message) {
        debug_assert!(self.is_empty(), "a body has one version");
        self.message = message;
    }

    /// How much is in the body by now.
    pub fn counts(&self) -> Counts {
        self.head.counts
    }

    /// Whether the body is empty.
    pub fn is_empty(&self) -> bool {
        self.head.counts.series == 0
    }

    /// Adds the series of a block. Returns what was dropped.
    pub fn push(&mut self, block: &Block) -> Result<Dropped, Damaged> {
        self.push_part(block, &mut BlockPlace::default(), u32::MAX)
    }

    /// Adds the series of a block from a place on, until the body [is full](Self::is_full) or the block is at its end, and
    /// moves the place there. Returns what was dropped. After an error the rest of the block is of no
    /// use; what was added before stays.
    pub fn push_part(&mut self, block: &Block, place: &mut BlockPlace, most: u32) -> Result<Dropped, Damaged> {
        let room = most.saturating_sub(self.weight());
        if self.is_full(most) || place.is_end(block) {
            return Ok(Dropped::default());
        }
        // Histograms are looked at one by one: those with custom buckets cannot go.
        let all_wanted = (self.sends.exemplars || block.counts.exemplars == 0) && block.counts.histograms == 0;
        if self.message == Message::V1 && self.rules.is_empty() && all_wanted {
            return self.copy_part(block, place, room).map(|()| Dropped::default());
        }
        let (mut kept, mut dropped) = (Counts::default(), Dropped::default());
        let result = self.convert_part(block, place, room, &mut kept, &mut dropped);
        self.add(kept, block);
        result.map(|()| dropped)
    }

    /// Whether the body holds `most` samples and histograms, or [`MOST_BYTES`].
    pub fn is_full(&self, most: u32) -> bool {
        self.weight() >= most || self.bytes() >= MOST_BYTES
    }

    fn weight(&self) -> u32 {
        self.head.counts.samples + self.head.counts.histograms
    }

    fn bytes(&self) -> usize {
        self.symbols.len() + self.series.len()
    }

    /// The bytes as they are. Only a block that does not fit is looked into.
    fn copy_part(&mut self, block: &Block, place: &mut BlockPlace, room: u32) -> Result<(), Damaged> {
        let counts = block.counts;
        let fits = self.series.len() + block.series.len() <= MOST_BYTES;
        if place.bytes == 0 && fits && counts.samples + counts.histograms <= room {
            self.series.extend_from_slice(&block.series);
            self.add(counts, block);
            *place = BlockPlace::end(block);
            return Ok(());
        }
        // Each series has something, so as many samples as series are one each.
        let one_each = counts.samples == counts.series && counts.histograms == 0 && counts.exemplars == 0;
        let rest = block.series.get(place.bytes..).unwrap_or_default();
        let mut fields = Fields(rest);
        let mut part = Counts::default();
        let bytes = |fields: &Fields<'_>| self.series.len() + rest.len() - fields.0.len();
        while part.samples + part.histograms < room
            && bytes(&fields) < MOST_BYTES
            && let Some(field) = fields.next()
        {
            let (_, value) = field.inspect_err(|_| *place = BlockPlace::end(block))?;
            part.series += 1;
            place.series += 1;
            if one_each {
                part.samples += 1;
            } else {
                count_items(value.bytes(), &mut part);
            }
        }
        let taken = rest.len() - fields.0.len();
        self.series.extend_from_slice(&rest[..taken]);
        place.bytes += taken;
        self.add(part, block);
        Ok(())
    }

    fn convert_part(
        &mut self,
        block: &Block,
        place: &mut BlockPlace,
        room: u32,
        kept: &mut Counts,
        dropped: &mut Dropped,
    ) -> Result<(), Damaged> {
        let rest = block.series.get(place.bytes..).unwrap_or_default();
        let mut fields = Fields(rest);
        let plain = self.message == Message::V2 && self.rules.is_empty();
        self.family = None;
        // What is not asked for is not dropped.
        let wanted = u32::from(self.sends.native_histograms);
        let histograms_of = |series: Series<'_>| series.histograms().count() as u32 * wanted;
        while kept.samples + kept.histograms < room
            && self.bytes() < MOST_BYTES
            && let Some(field) = fields.next()
        {
            let bytes = match field {
                Ok((1, Value::Bytes(bytes))) => Ok(bytes),
                Ok(_) => continue,
                Err(damaged) => Err(damaged),
            };
            let bytes = bytes.inspect_err(|_| *place = BlockPlace::end(block))?;
            let unknown = Extra { created_ms: 0, metadata: Extra::NO_METADATA };
            let extra = block.extras.get(place.series).copied().unwrap_or(unknown);
            place.series += 1;
            let metadata = block.metadata.as_ref().and_then(|all| all.get(extra.metadata as usize));
            if plain && let Some(samples) = self.push_plain(bytes, extra, metadata) {
                kept.series += 1;
                kept.samples += samples;
                continue;
            }
            let series = Series::read(bytes).inspect_err(|_| *place = BlockPlace::end(block))?;
            let Some([samples, histograms, exemplars]) = self.push_series(series, extra, metadata) else {
                dropped.relabelled.series += 1;
                dropped.relabelled.samples += series.samples().count() as u32;
                dropped.relabelled.histograms += histograms_of(series);
                continue;
            };
            kept.series += u32::from(samples + histograms + exemplars > 0);
            kept.samples += samples;
            kept.histograms += histograms;
            kept.exemplars += exemplars;
            if block.counts.histograms > 0 {
                dropped.custom_buckets += histograms_of(series) - histograms;
            }
        }
        place.bytes += rest.len() - fields.0.len();
        Ok(())
    }

    /// The short way of most series into a body of version 2.0: labels and float samples, and nothing else, read once.
    /// Returns how many samples it has, or nothing if it has to go the long way. As for version 1.0, the scrape is trusted
    /// that labels are UTF-8.
    fn push_plain(&mut self, mut bytes: &[u8], extra: Extra, metadata: Option<&Metadata>) -> Option<u32> {
        self.refs.clear();
        self.message_buffer.clear();
        let mut samples = 0;
        while !bytes.is_empty() {
            match take_field(&mut bytes)? {
                (LABEL, Value::Bytes(mut label)) => {
                    let (1, Value::Bytes(name)) = take_field(&mut label)? else { return None };
                    let (2, Value::Bytes(value)) = take_field(&mut label)? else { return None };
                    if !label.is_empty() {
                        return None;
                    }
                    self.push_ref(name);
                    self.push_ref(value);
                }
                (SAMPLE, Value::Bytes(mut sample)) => {
                    let (1, Value::Fixed(bits)) = take_field(&mut sample)? else { return None };
                    let (2, Value::Number(timestamp_ms)) = take_field(&mut sample)? else { return None };
                    put_sample_v2(
                        f64::from_bits(bits),
                        timestamp_ms as i64,
                        extra.created_ms,
                        &mut self.message_buffer,
                    );
                    samples += 1;
                }
                _ => return None,
            }
        }
        if samples == 0 {
            return None;
        }
        self.buffer.clear();
        put_refs(&self.refs, &mut self.buffer);
        std::mem::swap(&mut self.last, &mut self.refs);
        self.buffer.extend_from_slice(&self.message_buffer);
        self.put_metadata(extra, metadata);
        put_bytes(5, &self.buffer, &mut self.series);
        Some(samples)
    }

    /// Adds the number of the next string of a series.
    fn push_ref(&mut self, text: &[u8]) {
        let same = self.last.get(self.refs.len()).copied().filter(|&number| self.symbols.is(number, text));
        let number = same.unwrap_or_else(|| self.symbols.number(text));
        self.refs.push(number);
    }

    fn put_metadata(&mut self, extra: Extra, metadata: Option<&Metadata>) {
        let Some(metadata) = metadata else { return };
        let [help, unit] = match self.family {
            Some((family, numbers)) if family == extra.metadata => numbers,
            _ => [&metadata.help, &metadata.unit].map(|text| self.symbols.number(text.as_bytes())),
        };
        self.family = Some((extra.metadata, [help, unit]));
        self.message_buffer.clear();
        put_number(1, kind_number(metadata.kind), &mut self.message_buffer);
        put_number(3, u64::from(help), &mut self.message_buffer);
        put_number(4, u64::from(unit), &mut self.message_buffer);
        put_bytes(5, &self.message_buffer, &mut self.buffer);
    }

    fn add(&mut self, counts: Counts, block: &Block) {
        if counts.series == 0 {
            return;
        }
        let head = &mut self.head;
        if head.counts.series == 0 {
            (head.oldest_ms, head.newest_ms) = (block.oldest_ms, block.newest_ms);
        }
        head.oldest_ms = head.oldest_ms.min(block.oldest_ms);
        head.newest_ms = head.newest_ms.max(block.newest_ms);
        head.counts.series += counts.series;
        head.counts.samples += counts.samples;
        head.counts.histograms += counts.histograms;
        head.counts.exemplars += counts.exemplars;
    }

    /// How many samples, histograms and exemplars went in; nothing if relabelling dropped the series.
    fn push_series(&mut self, series: Series<'_>, extra: Extra, metadata: Option<&Metadata>) -> Option<[u32; 3]> {
        let mut relabelled = false;
        if !self.rules.is_empty() {
            self.builder.reset(series.labels());
            if !self.rules.apply(&mut self.builder, &mut self.scratch) || self.builder.is_empty() {
                return None;
            }
            self.builder.sort();
            relabelled = true;
        }
        Some(match self.message {
            Message::V1 => {
                let sends = self.sends;
                let keep = |number: u32, bytes: &[u8]| {
                    (sends.exemplars || !is_exemplar(number))
                        && (!is_histogram(number) || sends.native_histograms && !has_custom_buckets(bytes))
                };
                let labels = relabelled.then(|| self.builder.iter());
                series.copy(labels, keep, &mut self.buffer, &mut self.series)
            }
            Message::V2 if relabelled => {
                let builder = std::mem::take(&mut self.builder);
                let kept = self.push_v2(series, builder.iter(), extra, metadata);
                self.builder = builder;
                kept
            }
            Message::V2 => self.push_v2(series, series.labels(), extra, metadata),
        })
    }

    fn push_v2<'l>(
        &mut self,
        series: Series<'_>,
        labels: impl Iterator<Item = (&'l str, &'l str)>,
        extra: Extra,
        metadata: Option<&Metadata>,
    ) -> [u32; 3] {
        let created_ms = extra.created_ms;
        self.refs.clear();
        labels.flat_map(|(name, value)| [name, value]).for_each(|text| self.push_ref(text.as_bytes()));
        self.buffer.clear();
        put_refs(&self.refs, &mut self.buffer);
        std::mem::swap(&mut self.last, &mut self.refs);
        let mut kept = [0; 3];
        for (value, timestamp_ms) in series.samples() {
            kept[0] += 1;
            put_sample_v2(value, timestamp_ms, created_ms, &mut self.buffer);
        }
        if self.sends.native_histograms {
            for histogram in series.histograms() {
                kept[1] += 1;
                self.message_buffer.clear();
                self.message_buffer.extend_from_slice(histogram);
                put_number(17, created_ms as u64, &mut self.message_buffer);
                put_bytes(3, &self.message_buffer, &mut self.buffer);
            }
        }
        if self.sends.exemplars {
            for (labels, value, timestamp_ms) in series.exemplars() {
                kept[2] += 1;
                self.refs.clear();
                for text in labels.flat_map(|(name, value)| [name, value]) {
                    let number = self.symbols.number(text.as_bytes());
                    self.refs.push(number);
                }
                self.message_buffer.clear();
                put_refs(&self.refs, &mut self.message_buffer);
                put_double(2, value, &mut self.message_buffer);
                put_number(3, timestamp_ms as u64, &mut self.message_buffer);
                put_bytes(4, &self.message_buffer, &mut self.buffer);
            }
        }
        if kept == [0; 3] {
            return kept;
        }
        self.put_metadata(extra, metadata);
        put_bytes(5, &self.buffer, &mut self.series);
        kept
    }

    /// Appends the body to `out` and begins a new one.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Head {
        if self.message == Message::V2 {
            self.symbols.take(out);
            self.last.clear();
        }
        if out.is_empty() {
            std::mem::swap(out, &mut self.series);
        } else {
            out.extend_from_slice(&self.series);
        }
        self.series.clear();
        std::mem::take(&mut self.head)
    }
}

/// What a series has, by the numbers of its fields.
fn count_items(series: &[u8], counts: &mut Counts) {
    for (number, _) in Fields(series).map_while(Result::ok) {
        match number {
            _ if is_histogram(number) => counts.histograms += 1,
            _ if is_exemplar(number) => counts.exemplars += 1,
            SAMPLE => counts.samples += 1,
            _ => {}
        }
    }
}

/// A sample as a field of a series.
fn put_sample_v2(value: f64, timestamp_ms: i64, created_ms: i64, out: &mut Vec<u8>) {
    let start = if created_ms == 0 { 0 } else { 1 + varint_len(created_ms as u64) };
    out.push(bytes_key(2));
    put_varint((sample_len(timestamp_ms) + start) as u64, out);
    out.push(fixed_key(1));
    out.extend_from_slice(&value.to_le_bytes());
    out.push(varint_key(2));
    put_varint(timestamp_ms as u64, out);
    put_number(3, created_ms as u64, out);
}

/// `labels_refs`, packed.
fn put_refs(refs: &[u32], out: &mut Vec<u8>) {
    let length: usize = refs.iter().map(|&number| varint_len(u64::from(number))).sum();
    out.push(bytes_key(1));
    put_varint(length as u64, out);
    refs.iter().for_each(|&number| put_varint(u64::from(number), out));
}
